"""A source authenticates over the raw bytes, and no input breaks the check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.intake.authenticate import (
    DEFAULT_HEADER,
    REPLAY_WINDOW,
    NotAuthentic,
    Reason,
    Scheme,
    SchemeOptions,
    authenticate,
    check_secret,
    generate_secret,
    single_headers,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BODY = b'{"alert": "\xc3\xa9"}'
KEY = b"0123456789abcdef0123456789abcdef"
WEBHOOK_SECRET = SecretStr("whsec_" + base64.b64encode(KEY).decode())
STATIC = SecretStr("a-static-token-of-enough-length")


def webhook(
    body: bytes = BODY, sent: datetime = NOW, message_id: str = "msg_1", key: bytes = KEY
) -> dict[str, str]:
    """Return the headers that a Standard Webhooks sender adds."""
    stamp = str(int(sent.timestamp()))
    signature = base64.b64encode(
        hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    ).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }


def good(scheme: Scheme) -> tuple[SecretStr, dict[str, str]]:
    """Return a secret and the headers that prove it."""
    secret = (
        WEBHOOK_SECRET
        if scheme is Scheme.STANDARD_WEBHOOKS
        else SecretStr("soc:" + STATIC.get_secret_value())
    )
    text = secret.get_secret_value()
    headers = {
        Scheme.STANDARD_WEBHOOKS: webhook(),
        Scheme.GITHUB: {
            "x-hub-signature-256": "sha256="
            + hmac.new(text.encode(), BODY, hashlib.sha256).hexdigest()
        },
        Scheme.HEADER: {DEFAULT_HEADER: text},
        Scheme.BEARER: {"authorization": f"Bearer {text}"},
        Scheme.BASIC: {"authorization": "Basic " + base64.b64encode(text.encode()).decode()},
    }
    return secret, headers[scheme]


def refused(
    scheme: Scheme,
    secret: SecretStr,
    headers: dict[str, str],
    body: bytes = BODY,
    now: datetime = NOW,
) -> Reason:
    """Return the reason of the refusal."""
    with pytest.raises(NotAuthentic) as caught:
        authenticate(scheme, [secret], headers, body, now)
    assert str(caught.value) == "not authenticated"
    return caught.value.reason


@pytest.mark.parametrize("scheme", Scheme)
def test_scheme_accepts_its_own_proof(scheme: Scheme) -> None:
    secret, headers = good(scheme)
    verified = authenticate(scheme, [secret], headers, BODY, NOW)
    assert verified.replay_id == ("msg_1" if scheme is Scheme.STANDARD_WEBHOOKS else None)


@pytest.mark.parametrize("scheme", Scheme)
def test_scheme_refuses_another_secret(scheme: Scheme) -> None:
    _, headers = good(scheme)
    assert refused(scheme, SecretStr(generate_secret(scheme)), headers) is Reason.MISMATCH


@pytest.mark.parametrize("scheme", Scheme)
def test_scheme_refuses_without_headers_and_without_a_secret(scheme: Scheme) -> None:
    secret, headers = good(scheme)
    assert refused(scheme, secret, {}) is Reason.HEADER_MISSING
    assert refused(scheme, secret, dict.fromkeys(headers, " ")) is Reason.HEADER_MISSING
    assert refused(scheme, SecretStr(""), headers) is Reason.SECRET_UNUSABLE


@pytest.mark.parametrize("scheme", [Scheme.STANDARD_WEBHOOKS, Scheme.GITHUB])
def test_signature_is_valid_for_exactly_these_bytes(scheme: Scheme) -> None:
    secret, headers = good(scheme)
    assert refused(scheme, secret, headers, BODY + b" ") is Reason.MISMATCH


@pytest.mark.parametrize("away", [timedelta(0), REPLAY_WINDOW, -REPLAY_WINDOW])
def test_timestamp_within_five_minutes_is_accepted(away: timedelta) -> None:
    assert authenticate(
        Scheme.STANDARD_WEBHOOKS, [WEBHOOK_SECRET], webhook(sent=NOW + away), BODY, NOW
    )


@pytest.mark.parametrize(
    "away",
    [
        REPLAY_WINDOW + timedelta(seconds=1),
        -REPLAY_WINDOW - timedelta(seconds=1),
        timedelta(days=9000),
    ],
)
def test_timestamp_outside_the_window_is_refused_despite_a_valid_signature(away: timedelta) -> None:
    assert (
        refused(Scheme.STANDARD_WEBHOOKS, WEBHOOK_SECRET, webhook(sent=NOW + away))
        is Reason.TIMESTAMP_OUTSIDE_WINDOW
    )


def test_changed_id_or_timestamp_breaks_the_signature() -> None:
    assert (
        refused(Scheme.STANDARD_WEBHOOKS, WEBHOOK_SECRET, webhook() | {"webhook-id": "msg_2"})
        is Reason.MISMATCH
    )
    stamp = str(int(NOW.timestamp()) + 1)
    assert (
        refused(Scheme.STANDARD_WEBHOOKS, WEBHOOK_SECRET, webhook() | {"webhook-timestamp": stamp})
        is Reason.MISMATCH
    )


def test_one_valid_signature_among_several_suffices() -> None:
    headers = webhook()
    others = "v1,AAAA v1a,BBBB"
    assert authenticate(
        Scheme.STANDARD_WEBHOOKS,
        [WEBHOOK_SECRET],
        headers | {"webhook-signature": f"{others} {headers['webhook-signature']}"},
        BODY,
        NOW,
    )
    buried = " ".join(["v1,AAAA"] * 500 + [headers["webhook-signature"]])
    assert (
        refused(Scheme.STANDARD_WEBHOOKS, WEBHOOK_SECRET, headers | {"webhook-signature": buried})
        is Reason.MISMATCH
    )


@pytest.mark.parametrize("stamp", ["12:00", "-5", "1e9", "9" * 400, "１２３", "1795521600.5"])
def test_timestamp_that_is_not_in_seconds_is_malformed(stamp: str) -> None:
    assert (
        refused(Scheme.STANDARD_WEBHOOKS, WEBHOOK_SECRET, webhook() | {"webhook-timestamp": stamp})
        is Reason.HEADER_MALFORMED
    )


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !!!",
        "Bearer x",
        "Basic w6k",
        "Basic é",
        "basic " + "A" * 5001,
        "Basic dTpw dTpw",
        "Negotiate x",
    ],
)
def test_broken_authorization_header_is_refused(authorization: str) -> None:
    assert refused(
        Scheme.BASIC, SecretStr("user:password-of-16-chars"), {"authorization": authorization}
    ) in {
        Reason.HEADER_MALFORMED,
        Reason.MISMATCH,
    }


def test_header_scheme_reads_the_configured_name_only() -> None:
    options = SchemeOptions(header="cf-webhook-auth")
    assert authenticate(
        Scheme.HEADER, [STATIC], {"cf-webhook-auth": STATIC.get_secret_value()}, BODY, NOW, options
    )
    with pytest.raises(NotAuthentic):
        authenticate(
            Scheme.HEADER, [STATIC], {DEFAULT_HEADER: STATIC.get_secret_value()}, BODY, NOW, options
        )
    for name in ("", "Upper", "with space", "x" * 65, "a\r\nb"):
        with pytest.raises(ValidationError):
            SchemeOptions(header=name)


def test_repeated_header_is_refused() -> None:
    token = STATIC.get_secret_value().encode()
    raw = [(b"X-Tocsin-Token", token), (b"x-tocsin-token", b"other")]
    for pair in (raw, raw[::-1]):
        assert refused(Scheme.HEADER, STATIC, single_headers(pair)) is Reason.MISMATCH
    assert single_headers([(b"X-A", b"\xff")]) == {"x-a": "\xff"}


_ANY_TEXT = st.text(st.characters(), max_size=60)
_NAMES = (
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-hub-signature-256",
    "authorization",
    DEFAULT_HEADER,
)


@given(
    st.sampled_from(Scheme),
    st.dictionaries(
        st.sampled_from(_NAMES),
        st.one_of(_ANY_TEXT, st.from_regex(r"(Basic|Bearer|v1,|sha256=) ?\S*")),
    ),
    st.binary(max_size=40),
    st.one_of(_ANY_TEXT, st.from_regex(r"whsec_\S*")),
)
def test_any_input_raises_not_authentic_only(
    scheme: Scheme, headers: dict[str, str], body: bytes, secret: str
) -> None:
    proof = {header.strip(" \t") for header in headers.values()}
    if secret in proof or any(header.lower().startswith(("bearer", "basic")) for header in proof):
        secret += "-not-guessed"
    with pytest.raises(NotAuthentic):
        authenticate(scheme, [SecretStr(secret)], headers, body, NOW)


@pytest.mark.parametrize("scheme", Scheme)
def test_generated_secret_is_valid_and_new_each_time(scheme: Scheme) -> None:
    first, second = generate_secret(scheme), generate_secret(scheme)
    check_secret(scheme, SecretStr(first))
    assert first != second


@pytest.mark.parametrize(
    ("scheme", "secret", "says"),
    [
        (Scheme.BEARER, "short", "needs at least 16"),
        (Scheme.GITHUB, "", "needs at least 16"),
        (Scheme.HEADER, "long enough but spaced", "without spaces"),
        (Scheme.HEADER, "line-end-at-the-end\n", "trailing line break"),
        (Scheme.BEARER, "ümlaut-is-not-for-headers", "printable ASCII"),
        (Scheme.BEARER, "x" * 513, "at most 512"),
        (Scheme.BASIC, "only-a-password-here", "user:password"),
        (Scheme.BASIC, ":password-without-user", "user:password"),
        (Scheme.BASIC, "user:short", "the password has 5"),
        (Scheme.STANDARD_WEBHOOKS, "not-even-the-prefix", "whsec_"),
        (Scheme.STANDARD_WEBHOOKS, "whsec_" + base64.b64encode(b"short").decode(), "24 to 64"),
        (Scheme.STANDARD_WEBHOOKS, "whsec_%%%", "base64"),
    ],
)
def test_weak_or_malformed_secret_is_refused_with_the_fix_and_not_shown(
    scheme: Scheme, secret: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        check_secret(scheme, SecretStr(secret))
    assert len(secret) < 6 or secret.strip() not in str(caught.value)


def test_secret_check_raises_invalid_only() -> None:
    for length in (16, 512):
        check_secret(Scheme.BEARER, SecretStr((string.ascii_letters * 10)[:length]))
