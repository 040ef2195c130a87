"""Runs: started, dispatched to Temporal, cancelled, retried, reconciled and shown."""
