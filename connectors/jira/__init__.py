"""Jira Cloud, through its REST API v3."""
