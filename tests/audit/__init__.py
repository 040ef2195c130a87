"""The audit trail: sealed, exported, verified."""
