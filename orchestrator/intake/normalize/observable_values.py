"""Values of observables: text of a payload in canonical spelling."""

from __future__ import annotations

import ipaddress
import re

from orchestrator.domain.observable import CANONICAL, ObservableType, canonical_address
from orchestrator.domain.untrusted.text import MAX_TEXT, sanitize
from orchestrator.intake.normalize.json_cursor import MAX_NAME

_PORT = re.compile(r"[0-9]{1,5}")
_PORTS = range(1, 65536)


def split_address(text: str) -> tuple[str, int | None]:
    """Return canonical address and port. Raise ValueError.

    Understands `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` and `192.0.2.1/32`.
    """
    text = text.strip()[:MAX_NAME]
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return canonical_address(address), _port(rest.removeprefix(":"))
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return canonical_address(address), _port(port)
    address, slash, length = text.partition("/")
    if slash and length != str(ipaddress.ip_address(address).max_prefixlen):
        message = f"{text!r} is a network, not an address"
        raise ValueError(message)
    return canonical_address(address), None


def _port(text: str) -> int | None:
    """Return the port, None where it is out of range. Raise ValueError for other text."""
    if text and not _PORT.fullmatch(text):
        message = f"{text!r} is not a port"
        raise ValueError(message)
    return int(text) if text and int(text) in _PORTS else None


def parse_value(kind: ObservableType, text: str) -> str | None:
    """Return the canonical value; None for text that is not of this type."""
    if len(text) > MAX_TEXT or (kind is ObservableType.DOMAIN and len(text) > MAX_NAME):
        return None  # a long domain before the IDNA codec, which takes quadratic time
    try:
        value = split_address(text)[0] if kind is ObservableType.ADDRESS else CANONICAL[kind](text)
    except ValueError:
        return None
    value = sanitize(value)
    return value if 0 < len(value) <= MAX_TEXT else None
