"""Traces of alerts: from the webhook through Temporal to the calls of systems."""
