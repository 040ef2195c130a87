"""The change of the audit key, sealed into the trail."""
