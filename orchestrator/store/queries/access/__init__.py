"""Queries on people and their keys."""
