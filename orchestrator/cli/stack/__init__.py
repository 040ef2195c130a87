"""The supervisor of a stack on one machine: its programs, their ports, and their end with it."""
