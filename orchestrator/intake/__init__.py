"""How an alert comes in: authenticated, parsed into the normal form, accepted once, matched to playbooks."""
