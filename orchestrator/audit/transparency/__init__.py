"""Signed heads of the trail, proofs between two of them, and witnesses that co-sign them."""
