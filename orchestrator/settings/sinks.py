"""Values of the settings of audit sinks."""

from __future__ import annotations

import base64
import binascii
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

SYSLOG_PORT = 6514
"""The port of syslog over TLS (RFC 5425)."""
MIN_SECRET = 24
"""The least bytes of a webhook secret, as Standard Webhooks demand."""

_PREFIX = "whsec_"


def parse_sinks(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return the URLs of sinks. Raise ValueError that names the wrong one by its position."""
    for number, url in enumerate(urls, start=1):
        if not _is_sink(url):
            raise ValueError(
                f"sink {number}: write file:///mount/trail.jsonl, syslog+tls://host:6514 or "
                "https://host/path"
            )
    if len(set(urls)) < len(urls):
        raise ValueError("a sink occurs twice")
    return urls


def check_secret(secret: SecretStr | None) -> SecretStr | None:
    """Return the secret of webhook sinks. Raise ValueError as `webhook_key`."""
    if secret is not None:
        webhook_key(secret.get_secret_value())
    return secret


def webhook_key(secret: str) -> bytes:
    """Return the key of a secret such as `whsec_...`. Raise ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < MIN_SECRET:
        raise ValueError(
            f"write whsec_ and the base64 of at least {MIN_SECRET} bytes: "
            "echo whsec_$(openssl rand -base64 32)"
        )
    return key


def _is_sink(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.username or parts.fragment or not port_is_valid:
        return False
    match parts.scheme:
        case "file":
            path = PurePosixPath(parts.path)
            return not parts.netloc and not parts.query and path.is_absolute() and path.name != ""
        case "syslog+tls":
            return bool(parts.hostname) and not parts.path.strip("/") and not parts.query
        case "https":
            return bool(parts.hostname)
        case _:
            return False


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


AuditSinks = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(parse_sinks)
]
"""URLs of sinks; separated by commas in a variable."""
