"""Values of settings: their types, and what is wrong with one."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from connectors.sdk.proxy.choice import parse_no_proxy, parse_proxy

_POSTGRESQL = ("postgresql+asyncpg", "postgresql", "postgres")


def parse_database_url(url: SecretStr | None) -> SecretStr | None:
    """Return the URL with the driver in its scheme. Raise ValueError."""
    if url is None:
        return None
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator or scheme not in {"sqlite+aiosqlite", *_POSTGRESQL}:
        raise ValueError(
            "write postgresql://user:password@host/name, "
            "or omit it for SQLite in the data directory"
        )
    return SecretStr(f"postgresql+asyncpg://{rest}") if scheme in _POSTGRESQL else url


def parse_web_address(url: str | None) -> str | None:
    """Return an HTTP(S) address without user, query and slash at its end. Raise ValueError."""
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise ValueError("write it like http://127.0.0.1:8090")
    return url.rstrip("/")


def parse_temporal_address(address: str) -> str:
    """Return host:port. Raise ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or "/" in address:
        raise ValueError("write it as host:port, such as 127.0.0.1:7233")
    return address


def parse_ip_address(text: str) -> str:
    """Return an address in its usual form. Raise ValueError."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("write an IP address, such as 127.0.0.1") from None


def parse_smtp_url(url: SecretStr | None) -> SecretStr | None:
    """Return the URL of a mail server. Raise ValueError."""
    if url is None:
        return None
    parts = urlsplit(url.get_secret_value())
    if (
        parts.scheme not in {"smtp", "smtps"}
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query not in {"", "tls=none"}
    ):
        raise ValueError(
            "write it like smtp://user:password@mail.example:587, or smtps://...; "
            "?tls=none sends without encryption"
        )
    if parts.query and (parts.scheme == "smtps" or parts.password):
        raise ValueError(
            "tls=none needs smtp:// and no password, which would be sent without encryption"
        )
    return url


def parse_public_url(url: str | None) -> str | None:
    """Require HTTPS, as anyone who can read a link in transit can use it to decide."""
    address = parse_web_address(url)
    if (
        address is not None
        and urlsplit(address).scheme == "http"
        and urlsplit(address).hostname not in {"127.0.0.1", "::1", "localhost"}
    ):
        raise ValueError(
            "links decide approvals, so use https://; http:// is only for this machine"
        )
    return address


def parse_networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return networks in their usual form. Raise ValueError."""
    try:
        return tuple(str(ip_network(text.strip(), strict=False)) for text in texts)
    except ValueError as error:
        raise ValueError(f"{error}; write networks such as 192.0.2.0/24") from None


def parse_outbound_proxy(url: SecretStr | None) -> SecretStr | None:
    """Return the URL of a proxy. Raise ValueError."""
    if url is not None:
        parse_proxy(url.get_secret_value())
    return url


def _split(value: object) -> object:
    """Split a list that an environment variable gives as text."""
    return value.split(",") if isinstance(value, str) else value


Rate = Annotated[int, Field(ge=0, le=1_000_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]
MailAddress = Annotated[
    str, Field(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")
]
Networks = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(parse_networks)
]
"""Addresses and networks; separated by commas in a variable."""
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Names; separated by commas in a variable."""
Recipients = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Recipients of age; separated by commas in a variable."""
NoProxy = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(parse_no_proxy)
]
"""Hosts with the names below them, addresses and networks; separated by commas in a variable."""
