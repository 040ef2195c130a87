"""Stops on changes: kill switches, circuit breakers, protected assets, self-protection."""
