"""Fixed statements of what each run writes and reads and of the webhook, compiled once for each database."""
