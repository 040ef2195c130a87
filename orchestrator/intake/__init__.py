"""Intake: authenticates, parses, deduplicates and commits alerts, and matches them to playbooks."""
