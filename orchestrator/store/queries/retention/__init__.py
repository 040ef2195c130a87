"""Queries of retention: what may be archived, its rows as they are stored, and their removal."""
