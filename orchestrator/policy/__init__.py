"""Judges exact changes: protected assets, limits, approvals, kill switches."""
