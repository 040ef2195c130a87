"""API keys: their form, and their check against a stored hash.

A key has 256 random bits that cannot be guessed, so that a fast hash suffices: each request costs
one SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from pydantic import SecretStr

UNKNOWN = "0" * 64
"""The hash of no token."""

_TOKEN = re.compile(r"tocsin_([0-9a-f]{16})_[0-9a-f]{64}")


class NewToken(NamedTuple):
    """A token to show once, the id to look it up by, and the hash to store."""

    token: SecretStr
    id: str
    hash: str


def new_token() -> NewToken:
    """Return a token `tocsin_<16 hex>_<64 hex>`, its id, and the SHA-256 to store."""
    return new_token_of(secrets.token_hex(8))


def new_token_of(token_id: str) -> NewToken:
    """Return a token with this id, which has 16 hex digits."""
    token = f"tocsin_{token_id}_{secrets.token_hex(32)}"
    return NewToken(SecretStr(token), token_id, _hash(token))


def token_id(token: str) -> str | None:
    """Return the id to look the hash up by; None for text that is not a token."""
    match = _TOKEN.fullmatch(token)
    return match[1] if match else None


def is_token_valid(token: str, expected: str) -> bool:
    """Return whether the token has this hash, in constant time.

    Pass `UNKNOWN` for an id that is not stored, so that it takes the same time.
    """
    return hmac.compare_digest(_hash(token).encode(), expected.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(b"tocsin:token:1\n" + token.encode("utf-8", "surrogatepass")).hexdigest()
