"""Pages that people see in a browser: HTML without scripts, escaped throughout."""
