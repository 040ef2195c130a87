"""Digests and ids: SHA-256 over canonical JSON (RFC 8785), and sortable random ids."""

import hashlib
import secrets
import time
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """Return a JSON value in canonical form. Raise ValueError for NaN and huge integers."""
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """Return the hex SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def input_digest(connection: str, action: str, inputs: dict[str, Any]) -> str:
    """Return the digest of a call, equal for the same action and input in any run."""
    return digest([connection, action, inputs])


def new_id(prefix: str) -> str:
    """Return an id such as `run_01j8...`: sortable by creation time (ms), with 80 random bits."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
