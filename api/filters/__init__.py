"""Filters of lists as query parameters: the same name means the same in every list."""
