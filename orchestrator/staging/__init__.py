"""Trying playbooks before they are let loose: rehearsals against stubs."""
