"""Connections: named and configured instances of connectors, with sealed credentials."""
