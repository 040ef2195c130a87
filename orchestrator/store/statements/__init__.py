"""Fixed statements of each run and of the webhook, compiled once for each database."""
