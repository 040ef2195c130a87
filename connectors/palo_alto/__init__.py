"""Palo Alto Networks firewalls, through the PAN-OS XML API."""
