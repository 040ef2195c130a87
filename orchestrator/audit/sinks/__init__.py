"""Sinks: places outside the database that the audit trail is streamed to, batch by batch."""
