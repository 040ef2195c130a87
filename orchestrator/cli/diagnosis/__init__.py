"""The diagnosis of an installation on this machine: each check yields what, where, and the fix."""
