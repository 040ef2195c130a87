"""The way of an alert into the store: authenticated, read, de-duplicated, joined to an incident, matched; committed or not at all."""

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
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.parsers import Parser, parser_for
from orchestrator.intake.persist import Accepted, AcceptedAlert, commit
from orchestrator.intake.refusal import NotAnAlert
from orchestrator.intake.sources import context
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import SourceRow

__all__ = ["Accepted", "AcceptedAlert", "accept"]


async def accept(
    rt: Runtime, source: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> Accepted:
    """Commits the alerts of a body. Raises NotFound, NotAuthentic, BodyRefused, Unparseable; then nothing was kept but the refusal."""
    now = rt.clock()
    row = await _source(rt, source)
    verified = await _authenticated(rt, row, headers, body, now)
    payload = parse_json(body, rt.settings.max_body_bytes)
    try:
        found = _parser(row.product, json.dumps(row.mapping))(payload, now)
    except NotAnAlert as telemetry:
        return Accepted(ignored=str(telemetry))
    try:
        return await commit(rt, row, found, body, verified, now)
    except NotAuthentic as refusal:
        await _refused(rt, row.name, refusal.reason, body, now)
        raise


@lru_cache(maxsize=256)
def _parser(product: str, mapping: str) -> Parser:
    """By the mapping's text, as checking one takes longer than reading an alert by it."""
    given = json.loads(mapping)
    return parser_for(product, check_mapping(given) if given else None)


async def _source(rt: Runtime, name: str) -> SourceRow:
    async with rt.store.read() as session:
        row = await records.one(session, SourceRow, name)
    if row is None:
        raise NotFound("there is no such source; an admin adds one with `tocsin source add`")
    return row


async def _authenticated(
    rt: Runtime, row: SourceRow, headers: Iterable[tuple[bytes, bytes]], body: bytes, now: datetime
) -> Verified:
    secret = SecretStr(rt.secrets.open(row.secret, context(row.name)).decode())
    try:
        options = SchemeOptions.model_validate(row.options)
        return authenticate(Scheme(row.scheme), secret, single_headers(headers), body, now, options)
    except NotAuthentic as refusal:
        await _refused(rt, row.name, refusal.reason, body, now)
        raise


async def _refused(rt: Runtime, source: str, reason: Reason, body: bytes, now: datetime) -> None:
    told = {
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
            data=told,
            now=now,
        )
