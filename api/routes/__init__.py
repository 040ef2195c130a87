"""Routes of the API, grouped like the commands of the CLI."""
