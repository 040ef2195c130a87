"""Tests of a whole stack, as processes."""
