"""Attacks on a running stack, each of which must fail."""
