"""Containments: what is in force on devices, who holds it, and how it is released."""
