"""Limits of the API on its clients: their connections, and the rate of their requests."""
