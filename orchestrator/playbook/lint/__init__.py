"""Lint: rules over the plan, text and data flow of a playbook that compiles, waivable in place."""
