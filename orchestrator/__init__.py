"""Tocsin: an incident response orchestrator that can prove what it did."""
