"""The installation: which data directory, database and keys belong together."""
