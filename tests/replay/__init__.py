"""Replay of recorded workflow histories."""
