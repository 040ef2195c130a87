"""How things are named: a short prefix that says the kind, and a time-ordered random part."""

import secrets
import time


def new_id(prefix: str) -> str:
    """`run_01j8...`: sortable by creation time (ms), 80 random bits; prefixes: alert, inc, run, apr, evt, key, con, lease."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
