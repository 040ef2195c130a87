"""Routes for authors of playbooks: write, test, publish, compare."""
