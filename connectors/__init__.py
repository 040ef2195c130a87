"""Connectors: one folder a vendor, each a connector and a stateful emulator in the vendor's wire format."""
