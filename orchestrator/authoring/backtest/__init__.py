"""Backtests: what a draft would have done about stored alerts."""
