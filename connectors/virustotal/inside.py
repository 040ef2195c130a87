"""Which names and addresses are internal, so that nobody outside is asked about them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

# Not `is_private`: that takes in the documentation networks, which labs and demos use as the world outside.
_INTERNAL = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "::/127", "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
_LOCAL_NAMES = ("localhost", "local", "internal", "lan", "home.arpa", "corp", "home", "intranet")


def is_internal_address(address: str) -> bool:
    """Whether the address means nothing outside the own network."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in _INTERNAL if network.version == parsed.version)


def is_internal_name(name: str, own: Iterable[str]) -> bool:
    """Whether the name is one of `own`, below one of them, or can only be resolved inside."""
    return "." not in name or any(
        name == domain or name.endswith(f".{domain}") for domain in (*own, *_LOCAL_NAMES)
    )


def is_internal_url(url: str, own: Iterable[str]) -> bool:
    """Whether the URL leads inside."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return is_internal_address(host)
    except ValueError:
        return is_internal_name(host, own)
