"""Batches: approvals of the same playbook version, step, source and time, decided together."""
