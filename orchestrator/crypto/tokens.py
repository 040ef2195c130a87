"""What an API key looks like, and how one is checked without keeping it.

The secret has 256 random bits, so a fast hash is enough: there is nothing to guess, and each request pays for one SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from pydantic import SecretStr

UNKNOWN = "0" * 64
"""A hash that no token has."""

_TOKEN = re.compile(r"tocsin_([0-9a-f]{16})_[0-9a-f]{64}")


class NewToken(NamedTuple):
    """A token to show once, the id to find it by, and the hash to keep."""

    token: SecretStr
    id: str
    hash: str


def new_token() -> NewToken:
    """`tocsin_<16 hex>_<64 hex>`, its id, and the SHA-256 to store."""
    token_id = secrets.token_hex(8)
    token = f"tocsin_{token_id}_{secrets.token_hex(32)}"
    return NewToken(SecretStr(token), token_id, _hash(token))


def token_id(token: str) -> str | None:
    """The id to look the hash up by; None for anything that is no token of ours."""
    match = _TOKEN.fullmatch(token)
    return match[1] if match else None


def check(token: str, expected: str) -> bool:
    """Whether the token has that hash, in constant time. Pass `UNKNOWN` for an id that is not stored, so that both take as long."""
    return hmac.compare_digest(_hash(token).encode(), expected.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(b"tocsin:token:1\n" + token.encode("utf-8", "surrogatepass")).hexdigest()
