"""Commands for the response to an incident: what was reported, what runs, what is in force."""
