"""Tests of containments."""
