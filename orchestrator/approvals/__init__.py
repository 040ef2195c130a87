"""Approvals: how people decide on changes, and what each decision permits."""
