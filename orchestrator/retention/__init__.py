"""Retention: old closed records are archived into a file, and then deleted; the trail stays."""
