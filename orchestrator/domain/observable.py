"""Observables and targets: typed, in canonical spelling, so that `Evil.COM.` equals `evil.com`."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, Field

from orchestrator.domain.model import Frozen


class ObservableType(StrEnum):
    """The supported OCSF 1.8 observable types, by short names."""

    ADDRESS = "address"
    NETWORK = "network"
    DOMAIN = "domain"
    URL = "url"
    HASH = "hash"
    USER = "user"
    HOST = "host"
    EMAIL = "email"
    FILE = "file"
    PROCESS = "process"

    @property
    def plural(self) -> str:
        """The word for several."""
        return f"{self.value}{'es' if self.value.endswith(('s', 'h')) else 's'}"


class ObservableRole(StrEnum):
    """The part that an observable plays in an alert."""

    LOCAL = "local"  # in our network
    REMOTE = "remote"  # at the other end
    SUBJECT = "subject"  # what the alert is about
    RELATED = "related"


def canonical_address(text: str) -> str:
    """Return an IP address without zone id; `::ffff:1.2.3.4` is `1.2.3.4`. Raise ValueError."""
    address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def canonical_network(text: str) -> str:
    """Return a network with host bits cleared; an address is its /32 or /128. Raise ValueError."""
    network = ipaddress.ip_network(text.strip(), strict=False)
    if (
        isinstance(network, ipaddress.IPv6Network)
        and network.prefixlen >= 96
        and network.network_address.ipv4_mapped
    ):
        return str(
            ipaddress.ip_network((network.network_address.ipv4_mapped, network.prefixlen - 96))
        )
    return str(network)


_LABEL = re.compile(r"^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$")


def canonical_domain(text: str) -> str:
    """Return a domain in lower case and IDNA A-labels, without trailing dot. Raise ValueError."""
    name = text.strip().rstrip(".").lower()
    if not name.isascii():
        name = name.encode("idna").decode("ascii")
    if not name or len(name) > 253 or not all(_LABEL.match(label) for label in name.split(".")):
        message = f"{text!r} is not a domain name"
        raise ValueError(message)
    return name


def canonical_host(text: str) -> str:
    """Return a host name or vendor id in lower case, without trailing dot. Raise ValueError."""
    name = text.strip().rstrip(".").lower()
    if not name or len(name) > 255 or any(ord(character) < 33 for character in name):
        message = f"{text!r} is not a host name"
        raise ValueError(message)
    return name


def canonical_user(text: str) -> str:
    r"""Return a user in lower case; `DOMAIN\user` keeps its domain. Raise ValueError."""
    name = text.strip().lower()
    if not name or len(name) > 320 or any(ord(character) < 32 for character in name):
        message = f"{text!r} is not a user name"
        raise ValueError(message)
    return name


def canonical_email(text: str) -> str:
    """Return `local@domain` in lower case. Raise ValueError."""
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or any(character.isspace() for character in local):
        message = f"{text!r} is not an e-mail address"
        raise ValueError(message)
    return f"{local.lower()}@{canonical_domain(domain)}"


def canonical_hash(text: str) -> str:
    """Return an MD5, SHA-1, SHA-256 or SHA-512 in lower-case hex. Raise ValueError."""
    value = text.strip().lower()
    if len(value) not in {32, 40, 64, 128} or not re.fullmatch(r"[0-9a-f]+", value):
        message = f"{text!r} is not an MD5, SHA-1, SHA-256 or SHA-512 in hex"
        raise ValueError(message)
    return value


def canonical_url(text: str) -> str:
    """Return a URL with scheme and host in lower case, without fragment. Raise ValueError."""
    parts = urlsplit(text.strip())
    if not parts.scheme or not parts.hostname:
        message = f"{text!r} is not an absolute URL"
        raise ValueError(message)
    host = parts.hostname.rstrip(".").lower()
    host = f"[{host}]" if ":" in host else host
    netloc = f"{host}:{parts.port}" if parts.port else host
    return urlunsplit((parts.scheme.lower(), netloc, parts.path, parts.query, ""))


def _text(text: str) -> str:
    value = text.strip()
    if not value:
        message = "empty"
        raise ValueError(message)
    return value


CANONICAL = {
    ObservableType.ADDRESS: canonical_address,
    ObservableType.NETWORK: canonical_network,
    ObservableType.DOMAIN: canonical_domain,
    ObservableType.URL: canonical_url,
    ObservableType.HASH: canonical_hash,
    ObservableType.USER: canonical_user,
    ObservableType.HOST: canonical_host,
    ObservableType.EMAIL: canonical_email,
    ObservableType.FILE: _text,
    ObservableType.PROCESS: _text,
}

# `x-observable` tells readers of the JSON Schema, such as editors, which text is expected.
Address = Annotated[
    str,
    AfterValidator(canonical_address),
    Field(examples=["198.51.100.7"], json_schema_extra={"x-observable": "address"}),
]
Network = Annotated[
    str,
    AfterValidator(canonical_network),
    Field(examples=["198.51.100.0/24"], json_schema_extra={"x-observable": "network"}),
]
Domain = Annotated[
    str,
    AfterValidator(canonical_domain),
    Field(examples=["evil.example"], json_schema_extra={"x-observable": "domain"}),
]
Url = Annotated[
    str,
    AfterValidator(canonical_url),
    Field(examples=["https://evil.example/x"], json_schema_extra={"x-observable": "url"}),
]
Hash = Annotated[
    str,
    AfterValidator(canonical_hash),
    Field(
        examples=["44d88612fea8a8f36de82e1278abb02f"], json_schema_extra={"x-observable": "hash"}
    ),
]
User = Annotated[
    str,
    AfterValidator(canonical_user),
    Field(examples=["j.doe"], json_schema_extra={"x-observable": "user"}),
]
Host = Annotated[
    str,
    AfterValidator(canonical_host),
    Field(examples=["ws-042"], json_schema_extra={"x-observable": "host"}),
]


class Observable(Frozen):
    """One thing that an alert names, in canonical spelling."""

    type: ObservableType
    value: Annotated[str, Field(min_length=1, max_length=4096)]
    role: ObservableRole = ObservableRole.RELATED


class Target(Frozen):
    """What a change touches: policies protect it, limits count it, leases are keyed by it."""

    type: ObservableType
    value: Annotated[str, Field(min_length=1, max_length=4096)]

    @classmethod
    def of(cls, kind: ObservableType, value: str) -> Target:
        """Return the target in canonical spelling. Raise ValueError."""
        return cls(type=kind, value=CANONICAL[kind](value))

    def __str__(self) -> str:
        return f"{self.type.value} {self.value}"


_DIGITS = {4: 10, 6: 39}
"""Digits of the largest address. Digits sort alike in every collation of a database."""
_NETWORKS = (ObservableType.ADDRESS, ObservableType.NETWORK)


class Extent(Frozen):
    """What a target covers, as an interval of keys from `first` to `last`, both included.

    Addresses and networks are intervals of addresses. Anything else is one key: the system's own
    id of the target, or its canonical name.
    """

    first: str
    last: str

    @classmethod
    def of(cls, target: Target, identity: str | None = None) -> Extent:
        """Return the extent of a target. `identity`: the system's own id of it."""
        if identity is None and target.type in _NETWORKS:
            network = ipaddress.ip_network(target.value)
            return cls(first=_key(network[0]), last=_key(network[-1]))
        key = f"{target.type.value}:{identity or target.value}"
        return cls(first=key, last=key)

    def covers(self, other: Extent) -> bool:
        """Return whether everything that the other covers is covered by this one."""
        return self.overlaps(other) and self.first <= other.first and other.last <= self.last

    def overlaps(self, other: Extent) -> bool:
        """Return whether there is something that both cover."""
        return self._kind == other._kind and self.first <= other.last and other.first <= self.last

    @property
    def _kind(self) -> str:
        return self.first.partition(":")[0]


def _key(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"ip{address.version}:{int(address):0{_DIGITS[address.version]}d}"
