"""Rotation of keys while the stack runs: encryption keys, and the key of the audit trail."""
