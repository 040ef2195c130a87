"""Authentication of webhooks, over the raw body and in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, SecretStr

from orchestrator.domain.errors import Invalid, TocsinError
from orchestrator.domain.model import Frozen

REPLAY_WINDOW = timedelta(minutes=5)
"""The maximum distance of a Standard Webhooks timestamp from now, either way.

Message ids are remembered for twice as long.
"""

DEFAULT_HEADER = "x-tocsin-token"
_MIN_SECRET = 16  # characters
_MAX_SECRET = 512
_WEBHOOK_KEY = range(24, 65)  # bytes, as Standard Webhooks specifies
_MAX_SIGNATURES = 16  # more than any rotation of keys needs


class Scheme(StrEnum):
    """The ways in which a source authenticates."""

    STANDARD_WEBHOOKS = "standard_webhooks"
    GITHUB = "github"
    HEADER = "header"
    BEARER = "bearer"
    BASIC = "basic"


UNSIGNED_BODY = frozenset({Scheme.HEADER, Scheme.BEARER, Scheme.BASIC})
"""Schemes that prove the source without the body."""


class SchemeOptions(Frozen):
    """Options of a scheme besides its secret."""

    header: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9-]{0,63}$",
            description="The lower-case name of the header that the scheme `header` reads.",
        ),
    ] = DEFAULT_HEADER


class Reason(StrEnum):
    """Why a request was refused. It is for the audit event only, never for the response."""

    HEADER_MISSING = "header_missing"
    HEADER_MALFORMED = "header_malformed"
    TIMESTAMP_OUTSIDE_WINDOW = "timestamp_outside_window"
    MISMATCH = "mismatch"
    SECRET_UNUSABLE = "secret_unusable"  # noqa: S105 - a reason, not a secret
    UNKNOWN_SOURCE = "unknown_source"
    SENDER_NOT_ALLOWED = "sender_not_allowed"  # not from the source's networks
    TOO_LARGE = "too_large"  # the signed body was not read
    REPLAYED = "replayed"  # raised by the store, which remembers the ids


class NotAuthentic(TocsinError):
    """A request that does not prove its source. The text tells the sender nothing else."""

    def __init__(self, reason: Reason) -> None:
        super().__init__("not authenticated")
        self.reason = reason


class Verified(Frozen):
    """What an authentic request proves besides its source."""

    replay_id: str | None = None
    """The signed message id, where the scheme has one."""
    sent: int = 0
    """The signed time in seconds since 1970; 0 where the scheme has none."""


def authenticate(
    scheme: Scheme,
    accepted: Sequence[SecretStr],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    options: SchemeOptions | None = None,
) -> Verified:
    """Check the raw body and the lower-case headers against the secrets that are accepted.

    Raise NotAuthentic, and nothing else, for any input.
    """
    request = _Request(headers, body, now, options or SchemeOptions())
    # Every secret is compared, so that timing does not reveal which one matches.
    results = [_result(scheme, each.get_secret_value(), request) for each in accepted]
    proofs = [each for each in results if isinstance(each, Verified)]
    refusals = [each for each in results if isinstance(each, NotAuthentic)]
    if proofs:
        return proofs[0]
    raise refusals[0] if refusals else NotAuthentic(Reason.SECRET_UNUSABLE)


def single_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return ASGI headers by lower-case name.

    Repeated ones are joined by `, `, so that they match no secret and no signature.
    """
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def generate_secret(scheme: Scheme) -> str:
    """Return a new secret of 256 random bits in the form that the scheme expects."""
    match scheme:
        case Scheme.STANDARD_WEBHOOKS:
            return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        case Scheme.BASIC:
            return f"tocsin:{secrets.token_urlsafe(32)}"
        case _:
            return secrets.token_urlsafe(32)


def check_secret(scheme: Scheme, secret: SecretStr) -> None:
    """Check a secret that a person supplies. Raise Invalid with the fix, never with the secret."""
    text = secret.get_secret_value()
    if not re.fullmatch(r"[\x21-\x7e]*", text) or len(text) > _MAX_SECRET:
        message = (
            f"the secret must be at most {_MAX_SECRET} printable ASCII characters without spaces; "
            "check the file for a trailing line break"
        )
        raise Invalid(message)
    match scheme:
        case Scheme.STANDARD_WEBHOOKS:
            _check_webhook_secret(text)
        case Scheme.BASIC:
            user, colon, password = text.partition(":")
            if not user or not colon:
                message = "the secret for basic authentication must have the form user:password"
                raise Invalid(message)
            _check_length(password, "the password")
        case _:
            _check_length(text, "the secret")


def _check_webhook_secret(text: str) -> None:
    key = _webhook_key(text)
    if key is None or len(key) not in _WEBHOOK_KEY:
        message = (
            "a Standard Webhooks secret is whsec_ followed by the base64 of 24 to 64 random bytes"
        )
        raise Invalid(message)


def _check_length(text: str, what: str) -> None:
    if len(text) < _MIN_SECRET:
        message = (
            f"{what} has {len(text)} characters, but needs at least {_MIN_SECRET}; "
            "omit it to have one generated"
        )
        raise Invalid(message)


class _Request:
    def __init__(
        self, headers: Mapping[str, str], body: bytes, now: datetime, options: SchemeOptions
    ) -> None:
        self.headers, self.body, self.now, self.options = headers, body, now, options

    def header(self, name: str) -> str:
        value = self.headers.get(name, "").strip(" \t")
        if not value:
            raise NotAuthentic(Reason.HEADER_MISSING)
        return value


def _result(scheme: Scheme, secret: str, request: _Request) -> Verified | NotAuthentic:
    if not secret:
        return NotAuthentic(Reason.SECRET_UNUSABLE)
    try:
        return _SCHEMES[scheme](secret, request)
    except NotAuthentic as refusal:
        return refusal


def _standard_webhooks(secret: str, request: _Request) -> Verified:
    key = _webhook_key(secret)
    if not key:
        raise NotAuthentic(Reason.SECRET_UNUSABLE)
    message_id, sent, signatures = (
        request.header(f"webhook-{part}") for part in ("id", "timestamp", "signature")
    )
    if not re.fullmatch(r"[\x21-\x7e]{1,256}", message_id) or not re.fullmatch(
        r"[0-9]{1,12}", sent
    ):
        raise NotAuthentic(Reason.HEADER_MALFORMED)
    if abs(request.now.timestamp() - int(sent)) > REPLAY_WINDOW.total_seconds():
        raise NotAuthentic(Reason.TIMESTAMP_OUTSIDE_WINDOW)
    expected = base64.b64encode(
        hmac.digest(key, f"{message_id}.{sent}.".encode() + request.body, "sha256")
    ).decode()
    # Every candidate is compared, so that timing does not reveal which one matches.
    matches = [
        _same(candidate, f"v1,{expected}")
        for candidate in signatures.split(" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]
    ]
    return _verified(any(matches), message_id, int(sent))


def _github(secret: str, request: _Request) -> Verified:
    # X-GitHub-Delivery is not signed, so it cannot prevent replays; the alert's dedup key does.
    signature = request.header("x-hub-signature-256")
    return _verified(
        _same(signature, f"sha256={hmac.digest(secret.encode(), request.body, 'sha256').hex()}")
    )


def _header(secret: str, request: _Request) -> Verified:
    return _verified(_same(request.header(request.options.header), secret))


def _bearer(secret: str, request: _Request) -> Verified:
    return _verified(_same(_credential(request, "bearer"), secret))


def _basic(secret: str, request: _Request) -> Verified:
    try:
        pair = base64.b64decode(_credential(request, "basic").encode(), validate=True).decode(
            "latin-1"
        )
    except ValueError as error:  # binascii.Error is one
        raise NotAuthentic(Reason.HEADER_MALFORMED) from error
    return _verified(_same(pair, secret))


def _credential(request: _Request, expected: str) -> str:
    scheme, _, credential = request.header("authorization").partition(" ")
    if scheme.lower() != expected or not credential.strip():
        raise NotAuthentic(Reason.HEADER_MALFORMED)
    return credential.strip()


def _webhook_key(secret: str) -> bytes | None:
    if not secret.startswith("whsec_"):
        return None
    try:
        return base64.b64decode(
            secret.removeprefix("whsec_").encode("utf-8", "surrogatepass"), validate=True
        )
    except ValueError:
        return None


def _same(given: str, expected: str) -> bool:
    # Hashed first: compare_digest refuses non-ASCII text, and its timing reveals different lengths.
    left, right = (
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, expected)
    )
    return hmac.compare_digest(left, right)


def _verified(matches: bool, replay_id: str | None = None, sent: int = 0) -> Verified:  # noqa: FBT001 - private, reads as a sentence
    if not matches:
        raise NotAuthentic(Reason.MISMATCH)
    return Verified(replay_id=replay_id, sent=sent)


_SCHEMES: dict[Scheme, Callable[[str, _Request], Verified]] = {
    Scheme.STANDARD_WEBHOOKS: _standard_webhooks,
    Scheme.GITHUB: _github,
    Scheme.HEADER: _header,
    Scheme.BEARER: _bearer,
    Scheme.BASIC: _basic,
}
