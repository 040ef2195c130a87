"""Debug sessions: a person steps through a draft with real reads and plans."""
