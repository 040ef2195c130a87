"""Workflows: runs, batches, rollbacks, held containments and requests to a worker."""
