"""Recordings: runs that happened, as anonymized test cases."""
