"""The proxy of a connection: its own, or the installation's unless `no_proxy` names the host.

A host without a proxy is reached directly; a host with one is reached through it, or not at all.
SOCKS is left out, as httpx needs another dependency for it.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

DIRECT = "direct"
"""The value of a connection's `proxy` that leaves the installation's proxy out."""

_DEFAULT_PORT = {"http": 80, "https": 443}
_NAME = re.compile(r"\.?[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that speaks HTTP, over TLS where its URL says https."""

    url: str
    """Scheme, host and port."""
    user: str | None = None
    password: SecretStr | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Host and port, as messages name the proxy."""
        return self.url.partition("://")[2]

    @property
    def host(self) -> str:
        """The host, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The TCP port."""
        return urlsplit(self.url).port or 0

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached over TLS."""
        return self.url.startswith("https://")

    @property
    def credential(self) -> tuple[str, str] | None:
        """The user and the password in clear text."""
        if self.user is None:
            return None
        return self.user, self.password.get_secret_value() if self.password else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that contains the password, for redaction only."""
        if self.credential is None or not self.credential[1]:
            return ()
        encoded = b64encode(":".join(self.credential).encode()).decode("ascii")
        return self.credential[1], encoded


def parse_proxy(url: str) -> Proxy:
    """Return the proxy of a URL such as http://user:password@proxy.example:3128.

    Raise ValueError, without the URL, which may contain a password.
    """
    try:
        parts = urlsplit(url)
        default = _DEFAULT_PORT.get(parts.scheme)
        port = default and (parts.port or default)
    except ValueError:
        parts, port = urlsplit(""), None
    if not port or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        message = (
            "write the proxy as http://proxy.example:3128 or https://...; "
            "other schemes, such as socks5, are not supported"
        )
        raise ValueError(message)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Proxy(
        f"{parts.scheme}://{host}:{port}",
        unquote(parts.username) if parts.username is not None else None,
        SecretStr(unquote(parts.password)) if parts.password is not None else None,
    )


def parse_no_proxy(entries: Iterable[str]) -> tuple[str, ...]:
    """Return the entries of a `no_proxy` list in lower case. Raise ValueError for a malformed one.

    An entry is a host with all names below it, an address, or a network.
    """
    parsed = tuple(entry.strip().lower() for entry in entries if entry.strip())
    for entry in parsed:
        if _network(entry) is None and not _NAME.fullmatch(entry):
            message = (
                f"{entry!r} is not a host, an address or a network; "
                "write them like corp.example, 10.1.2.3 or 10.0.0.0/8, separated by commas"
            )
            raise ValueError(message)
    return parsed


@dataclass(frozen=True, slots=True)
class OutboundProxy:
    """The proxy of an installation, and the hosts that are reached without it."""

    proxy: Proxy
    no_proxy: tuple[str, ...] = ()

    def for_host(self, host: str) -> Proxy | None:
        """Return the proxy, or None for a host in `no_proxy`. Names are not resolved."""
        return None if any(_covers(entry, host.lower()) for entry in self.no_proxy) else self.proxy


def _covers(entry: str, host: str) -> bool:
    network = _network(entry)
    if network is None:
        name = entry.lstrip(".")
        return host == name or host.endswith(f".{name}")
    try:
        return ipaddress.ip_address(host.strip("[]")) in network
    except ValueError:
        return False


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
