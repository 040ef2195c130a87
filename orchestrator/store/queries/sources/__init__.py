"""Queries on what sources sent."""
