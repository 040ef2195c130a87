"""The HTTP API of Tocsin."""
