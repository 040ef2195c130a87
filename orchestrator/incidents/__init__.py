"""Incidents, the alerts that belong to them, and the tasks that need a person."""
