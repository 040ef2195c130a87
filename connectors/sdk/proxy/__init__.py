"""Outbound proxies: which one a connection uses, and what its refusals mean for the engine."""
