"""Notifications: messages to people by mail and Slack, and how people are reached."""
