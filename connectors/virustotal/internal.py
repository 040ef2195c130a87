"""Internal names and addresses, which are never sent to an outside service."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

# Not `is_private`, which includes the documentation networks: labs and demos use those as outside.
_INTERNAL = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
]
_LOCAL_NAMES = ("localhost", "local", "internal", "lan", "home.arpa", "corp", "home", "intranet")


def is_internal_address(address: str) -> bool:
    """Return whether the address has a meaning inside a network only."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in _INTERNAL if network.version == parsed.version)


def is_internal_name(name: str, own: Iterable[str]) -> bool:
    """Return whether the name is one of `own`, below one of them, or resolves only inside."""
    return "." not in name or any(
        name == domain or name.endswith(f".{domain}") for domain in (*own, *_LOCAL_NAMES)
    )


def is_internal_url(url: str, own: Iterable[str]) -> bool:
    """Return whether the URL's host is internal."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return is_internal_address(host)
    except ValueError:
        return is_internal_name(host, own)
