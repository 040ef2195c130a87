"""Approvals on the command line: found by prefix, shown whole, decided after a y."""
