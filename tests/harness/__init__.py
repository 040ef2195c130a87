"""Fixtures, builders and fake systems that the tests share."""
