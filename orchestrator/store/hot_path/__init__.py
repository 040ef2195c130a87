"""Statements of the hot path: what each run writes and reads, compiled once for each database."""
