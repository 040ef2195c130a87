"""Decisions by one-time links in mails, and by buttons in Slack."""
