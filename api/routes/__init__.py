"""What can be asked of the API, one noun per file."""
