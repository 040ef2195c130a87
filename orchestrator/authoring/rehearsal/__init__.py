"""Rehearsals: the tests of a playbook, played by the real engine on stubs."""
