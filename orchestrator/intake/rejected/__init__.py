"""Rejected deliveries: kept with their reason, listed, and replayed after a fix."""
