"""Offline verification of an exported audit trail."""
