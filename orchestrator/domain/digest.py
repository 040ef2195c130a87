"""How anything is fingerprinted: SHA-256 over RFC 8785 canonical JSON."""

import hashlib
import secrets
import time
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value. Raises ValueError for what JSON cannot carry (NaN, huge integers)."""
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """Hex SHA-256 of the canonical form of a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def wish_digest(connection: str, action: str, wish: dict[str, Any]) -> str:
    """Names what a step asks of a system: the same for the same action and input, whichever run asks."""
    return digest([connection, action, wish])


def new_id(prefix: str) -> str:
    """`run_01j8...`: sortable by creation time (ms), 80 random bits; prefixes: alert, inc, run, apr, evt, key, con, lease."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
