"""The use cases around runs: start, decide, cancel, retry, release, look; the only owner of the Temporal client beside the engine."""
