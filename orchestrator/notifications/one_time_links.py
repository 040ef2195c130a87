"""What is a one-time link? 256 random bits that stand for one person and one approval; only their hash is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

from pydantic import SecretStr

PATH = "/a/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class NewLink(NamedTuple):
    """A token to send once, and the hash to keep."""

    token: SecretStr
    hash: str


def new_link() -> NewLink:
    """Made when the message is sent, so that no table and no history ever holds it."""
    token = secrets.token_urlsafe(32)
    return NewLink(SecretStr(token), hash_of(token))


def hash_of(token: str) -> str:
    """What the store finds a link by; for what is no token, a hash that no link has. There is nothing to guess, so a fast one will do."""
    shaped = token if _TOKEN.fullmatch(token) else ""
    return hashlib.sha256(b"tocsin:link:1\n" + shaped.encode()).hexdigest()


def address(public_url: str, token: SecretStr) -> str:
    """The link itself."""
    return f"{public_url}{PATH}{token.get_secret_value()}"
