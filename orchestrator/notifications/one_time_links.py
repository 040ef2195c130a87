"""One-time links: 256 random bits for one person and one approval or key. Their hash is stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

from pydantic import SecretStr

PATH = "/a/"
"""Of the page that decides an approval."""
ENROLMENT_PATH = "/e/"
"""Of the page that hands a new key over."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class NewLink(NamedTuple):
    """A token to send once, and the hash to store."""

    token: SecretStr
    hash: str


def new_link() -> NewLink:
    """Return a new link. Called when the message is sent, so that no table ever holds the token.

    A token that begins with a dash would be an option where it is typed after a command.
    """
    token = secrets.token_urlsafe(32)
    while token.startswith("-"):
        token = secrets.token_urlsafe(32)
    return NewLink(SecretStr(token), hash_of(token))


def hash_of(token: str) -> str:
    """Return the hash by which the store finds a link; for a malformed token, one that no link has.

    A fast hash is enough, because the token cannot be guessed.
    """
    shaped = token if _TOKEN.fullmatch(token) else ""
    return hashlib.sha256(b"tocsin:link:1\n" + shaped.encode()).hexdigest()


def link_url(public_url: str, token: SecretStr, path: str = PATH) -> str:
    """Return the URL that a person opens."""
    return f"{public_url}{path}{token.get_secret_value()}"
