"""Queries of the store, one file per noun."""
