"""The HTTP API: authenticates, checks permissions, and calls the use cases."""
