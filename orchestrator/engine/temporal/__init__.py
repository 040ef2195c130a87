"""The engine on Temporal: workflows, the interpreter's port, activity calls, payload encryption."""
