"""Commands that run and diagnose an installation, and that log in to one."""
