"""Access: the people behind API keys, and what they may do."""
