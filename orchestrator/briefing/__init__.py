"""Briefing: all that a person is shown before deciding an approval, the same in every channel."""
