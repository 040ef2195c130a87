"""The verbs of `tocsin playbook`."""
