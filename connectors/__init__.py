"""Connectors: one package per vendor, each with a connector and a stateful emulator."""
