"""The webhook's use case: authenticates a request, parses it and commits its alerts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from pydantic import SecretStr

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import NotFound
from orchestrator.intake.authenticate import (
    NotAuthentic,
    Reason,
    Scheme,
    SchemeOptions,
    Verified,
    authenticate,
    single_headers,
)
from orchestrator.intake.body import parse_json
from orchestrator.intake.errors import NotAnAlert
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.parsers import Parser, parser_for
from orchestrator.intake.persist import Accepted, Ignored, commit
from orchestrator.intake.sources import secret_context
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import SourceRow


async def accept(
    rt: Runtime, source: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> Accepted | Ignored:
    """Commit the alerts in a body.

    Raise NotFound, NotAuthentic, BodyRefused or Unparseable; then only the refusal is stored.
    """
    now = rt.clock()
    row = await _source(rt, source)
    verified = await _authenticate(rt, row, headers, body, now)
    payload = parse_json(body, rt.settings.max_body_bytes)
    try:
        parsed = _parser(row.product, json.dumps(row.mapping))(payload, now)
    except NotAnAlert as telemetry:
        return Ignored(ignored=str(telemetry))
    try:
        return await commit(rt, row, parsed, body, verified, now)
    except NotAuthentic as refusal:
        await _record_refusal(rt, row.name, refusal.reason, body, now)
        raise


@lru_cache(maxsize=256)
def _parser(product: str, mapping: str) -> Parser:
    """Return a parser, cached by the mapping's text, as checking a mapping takes long."""
    raw = json.loads(mapping)
    return parser_for(product, check_mapping(raw) if raw else None)


async def _source(rt: Runtime, name: str) -> SourceRow:
    async with rt.store.read() as session:
        row = await records.get(session, SourceRow, name)
    if row is None:
        raise NotFound("unknown source; an admin adds one with `tocsin source add`")
    return row


async def _authenticate(
    rt: Runtime, row: SourceRow, headers: Iterable[tuple[bytes, bytes]], body: bytes, now: datetime
) -> Verified:
    secret = SecretStr(rt.secrets.open(row.secret, secret_context(row.name)).decode())
    try:
        options = SchemeOptions.model_validate(row.options)
        return authenticate(Scheme(row.scheme), secret, single_headers(headers), body, now, options)
    except NotAuthentic as refusal:
        await _record_refusal(rt, row.name, refusal.reason, body, now)
        raise


async def _record_refusal(
    rt: Runtime, source: str, reason: Reason, body: bytes, now: datetime
) -> None:
    data = {
        "reason": reason.value,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "bytes": len(body),
    }
    async with rt.store.write() as session:
        await trail.record(
            session,
            EventKind.ALERT_REFUSED,
            actor=f"source:{source}",
            subject=source,
            data=data,
            now=now,
        )
