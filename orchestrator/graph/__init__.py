"""Seeing a playbook, and a run of it: steps, effects, approvals and undo as a picture, offline."""
