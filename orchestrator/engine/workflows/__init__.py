"""The Temporal workflows: they wait, and let the interpreter decide."""
