"""The webhook's use case: authenticates a request, parses it and commits its alerts."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

from pydantic import SecretStr

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.intake.answers import Accepted, Ignored
from orchestrator.intake.authenticate import (
    UNSIGNED_BODY,
    NotAuthentic,
    Reason,
    Scheme,
    SchemeOptions,
    Verified,
    authenticate,
)
from orchestrator.intake.batch import AlertBatch
from orchestrator.intake.body import BodyRefused
from orchestrator.intake.delivery import (
    Payloads,
    WebhookDelivery,
    parse_payloads,
    read_payloads,
)
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.keep_rejected import keep_body
from orchestrator.intake.persist import commit
from orchestrator.intake.sources import find_source, open_secrets, parser_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries.sources import activity
from orchestrator.store.tables import SourceRow

_LARGE = 16 * 1024
"""Bytes of a body that is parsed in a thread."""
# One after another, and apart from the threads of commits, which must not wait for them.
_PARSING = ThreadPoolExecutor(1, thread_name_prefix="parsing")


async def accept(
    rt: Runtime,
    source: str,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    sender: str | None = None,
) -> Accepted | Ignored:
    """Commit the alerts in a body. `sender`: the address that the request came from.

    Raise NotAuthentic (an unknown source too), BodyRefused or Unparseable. Only what an authentic
    source sent is kept then; of any other request, the refusal alone is recorded.
    """
    now = rt.clock()
    delivery = WebhookDelivery.of(headers, body, sender)
    row = await _known_source(rt, source, delivery, now)
    verified = await _authenticate(rt, row, delivery, now)
    try:
        payloads, parsed = await _parse(rt, row, delivery, now)
    except NotAnAlert as telemetry:
        return Ignored(ignored=str(telemetry))
    except (BodyRefused, Unparseable) as refusal:
        await keep_body(rt, row, delivery, refusal, now)
        raise
    try:
        return await commit(rt, row, parsed, payloads.body, verified, now, delivery)
    except NotAuthentic as refusal:
        await _record_refusal(rt, row.name, refusal.reason, body, now)
        raise


async def _parse(
    rt: Runtime, row: SourceRow, delivery: WebhookDelivery, now: datetime
) -> tuple[Payloads, AlertBatch]:
    """Return the values and alerts of a delivery. A large one takes no time of other requests."""

    def parse() -> tuple[Payloads, AlertBatch]:
        payloads = read_payloads(delivery, rt.settings.max_body_bytes)
        return payloads, parse_payloads(parser_of(row), payloads, now)

    if len(delivery.body) <= _LARGE and not delivery.content_encoding:
        return parse()
    return await asyncio.get_running_loop().run_in_executor(_PARSING, parse)


async def record_too_large(
    rt: Runtime, source: str, headers: Iterable[tuple[bytes, bytes]], sender: str | None
) -> bool:
    """Record that a body was over the limit and therefore not read. Return whether it is proven.

    Where the body itself is signed, nothing proves the source, and only a refusal is counted. Raise
    NotAuthentic.
    """
    now, delivery = rt.clock(), WebhookDelivery.of(headers, b"", sender)
    row = await _known_source(rt, source, delivery, now)
    if Scheme(row.scheme) not in UNSIGNED_BODY:
        await _record_refusal(rt, row.name, Reason.TOO_LARGE, b"", now)
        return False
    await _authenticate(rt, row, delivery, now)
    limit = rt.settings.max_body_bytes
    refusal = BodyRefused(413, f"the body is over the limit of {limit} bytes")
    await keep_body(rt, row, delivery, refusal, now)
    return True


async def _known_source(
    rt: Runtime, name: str, delivery: WebhookDelivery, now: datetime
) -> SourceRow:
    """Return a source. Raise NotAuthentic for an unknown one, after the work of a wrong secret."""
    row = await find_source(rt, name)
    if row is not None:
        return row
    with suppress(NotAuthentic):
        accepted = [SecretStr(secrets.token_hex())]
        authenticate(Scheme.BEARER, accepted, delivery.headers, delivery.body, now, SchemeOptions())
    await _record_refusal(rt, None, Reason.UNKNOWN_SOURCE, delivery.body, now)
    raise NotAuthentic(Reason.UNKNOWN_SOURCE)


async def _authenticate(
    rt: Runtime, row: SourceRow, delivery: WebhookDelivery, now: datetime
) -> Verified:
    accepted = open_secrets(rt, row, now)
    try:
        options = SchemeOptions.model_validate(row.options)
        verified = authenticate(
            Scheme(row.scheme), accepted, delivery.headers, delivery.body, now, options
        )
        _check_sender(row, delivery)
    except NotAuthentic as refusal:
        await _record_refusal(rt, row.name, refusal.reason, delivery.body, now)
        raise
    return verified


def _check_sender(row: SourceRow, delivery: WebhookDelivery) -> None:
    """Check the sender after the secret, so that both refusals look and last the same."""
    if not delivery.is_from(row.senders):
        raise NotAuthentic(Reason.SENDER_NOT_ALLOWED)


async def _record_refusal(
    rt: Runtime, source: str | None, reason: Reason, body: bytes, now: datetime
) -> None:
    """Record a refusal, and how many were left out before it. `source`: None for unknown ones."""
    left_out = rt.refusals.reserve((source, reason))
    if left_out is None:
        return
    data = {
        "reason": reason.value,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "bytes": len(body),
        "left_out_before": left_out,
    }
    async with rt.store.write() as session:
        if source is not None:
            await activity.count(session, source, {"refused"}, now, times=left_out + 1)
        await trail.record(
            session,
            EventKind.ALERT_REFUSED,
            actor=f"source:{source}" if source is not None else "anonymous",
            subject=source if source is not None else "unknown source",
            data=data,
            now=now,
        )
