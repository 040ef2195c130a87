"""Values of the settings of audit sinks."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import PurePosixPath
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

SYSLOG_PORT = 6514
"""The port of syslog over TLS (RFC 5425)."""
MIN_SECRET = 24
"""The least bytes of a webhook secret, as Standard Webhooks demand."""

_PREFIX = "whsec_"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_OBJECT_PREFIX = re.compile(r"[A-Za-z0-9/_.-]{0,200}")
_DAYS = re.compile(r"[1-9][0-9]{0,4}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class S3Address(NamedTuple):
    """Where an S3 sink puts objects, and for how long they are locked."""

    endpoint: str
    bucket: str
    prefix: str
    region: str
    retain_days: int


def parse_s3(url: str) -> S3Address:
    """Return the place of `s3://bucket/prefix?region=R&retain_days=N&endpoint=URL`.

    Raise ValueError. Plain HTTP is for an endpoint on the loopback only.
    """
    parts = urlsplit(url)
    given = parse_qsl(parts.query, strict_parsing=True)
    query = {"endpoint": "", **dict(given)}
    endpoint = query["endpoint"] or f"https://s3.{query.get('region')}.amazonaws.com"
    server = urlsplit(endpoint)
    if (
        len(dict(given)) < len(given)
        or query.keys() != {"endpoint", "region", "retain_days"}
        or not _BUCKET.fullmatch(parts.netloc)
        or not _OBJECT_PREFIX.fullmatch(parts.path[1:])
        or not _REGION.fullmatch(query["region"])
        or not _DAYS.fullmatch(query["retain_days"])
        or not server.hostname
        or server.username is not None
        or server.path.strip("/")
        or server.query
        or (server.scheme != "https" and server.hostname not in _LOOPBACK)
        or server.scheme not in {"http", "https"}
    ):
        raise ValueError("not the address of a bucket")
    return S3Address(
        f"{server.scheme}://{server.netloc}",
        parts.netloc,
        parts.path[1:],
        query["region"],
        int(query["retain_days"]),
    )


def parse_sinks(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Return the URLs of sinks. Raise ValueError that names the wrong one by its position."""
    for number, url in enumerate(urls, start=1):
        if not _is_sink(url):
            raise ValueError(
                f"sink {number}: write file:///mount/trail.jsonl, syslog+tls://host:6514, "
                "https://host/path, rfc3161+https://host/path or "
                "s3://bucket/prefix?region=REGION&retain_days=365; commas separate several"
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
        case "https" | "rfc3161+https":
            return bool(parts.hostname)
        case "s3":
            return _is_bucket(url)
        case _:
            return False


def _is_bucket(url: str) -> bool:
    try:
        parse_s3(url)
    except ValueError:
        return False
    return True


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


AuditSinks = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(parse_sinks)
]
"""URLs of sinks; separated by commas in a variable."""
