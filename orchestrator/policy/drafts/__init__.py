"""Drafts of policies: read, linted and tested in the sandbox."""
