"""Tests of shadows."""
