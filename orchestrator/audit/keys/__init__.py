"""The keys that sign the audit trail: their changes, and which one signs which batches."""
