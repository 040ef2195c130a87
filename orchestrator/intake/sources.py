"""Sources: products that send alerts, how they authenticate and how they are parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import SecretStr, ValidationError

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.observable import canonical_network
from orchestrator.domain.run import Mode
from orchestrator.intake.authenticate import Scheme, SchemeOptions, check_secret, generate_secret
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.parsers import Parser, parser_for
from orchestrator.intake.source_views import SourceDetails, SourceView, WebhookCounts
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.intake_rows import read_source
from orchestrator.store.paging import to_iso
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records
from orchestrator.store.queries.sources import activity, rejected
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import SourceFilter
from orchestrator.store.tables import SourceRow

CORRELATIONS = ("host", "user", "remote", "rule", "none")
"""What alerts of one incident can share."""
EVERY_SOURCE = SourceFilter()
_DAYS_SHOWN = 7
MAX_OVERLAP = timedelta(days=30)
"""The longest time for which the secret before a rotation is accepted."""


async def add_source(
    rt: Runtime,
    name: str,
    product: str,
    scheme: str,
    secret: SecretStr | None = None,
    options: dict[str, Any] | None = None,
    mapping: dict[str, Any] | None = None,
    correlate_by: str = "host",
    correlate_within: timedelta = timedelta(hours=1),
    *,
    mode: Mode = Mode.LIVE,
    senders: Iterable[str] = (),
    actor: str,
) -> tuple[SourceView, SecretStr | None]:
    """Save a source. Return it with its secret where that is generated here.

    Raise Invalid, Conflict.
    """
    kind = _check(name, scheme, correlate_by, correlate_within)
    if secret is not None:
        check_secret(kind, secret)
    chosen = secret or SecretStr(generate_secret(kind))
    read = check_mapping(mapping) if mapping is not None else None
    parser_for(product, read)
    row = SourceRow(
        name=name,
        product=product,
        scheme=kind.value,
        secret=rt.secrets.seal(chosen.get_secret_value().encode(), secret_context(name)),
        options=_options(options).model_dump(),
        mapping=read.model_dump(mode="json", by_alias=True) if read else None,
        correlate_by=correlate_by,
        correlate_within=int(correlate_within.total_seconds()),
        mode=mode,
        senders=check_senders(senders),
        created_at=rt.clock(),
    )
    view = _view(row, row.created_at)
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"source {name}"])
        if await records.get(session, SourceRow, name) is not None:
            raise Conflict(
                f"source {name!r} exists already; remove it first, or choose another name"
            )
        await records.add(session, row)
        data = {"product": product, "scheme": kind.value, "mode": mode}
        await trail.record(
            session,
            EventKind.SOURCE_SAVED,
            actor=actor,
            subject=name,
            data=data,
            now=view.created_at,
        )
    return view, None if secret else chosen


async def change_source(
    rt: Runtime,
    name: str,
    *,
    actor: str,
    replaces: Precondition = ANY_STATE,
    **changes: Any,
) -> SourceView:
    """Change a source and keep its secret. Raise NotFound, Invalid.

    `changes`: any of mapping, correlate_by, correlate_within, mode, senders.
    """
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"source {name}"])
        row = await records.get(session, SourceRow, name)
        if row is None:
            raise NotFound(f"source {name!r} does not exist")
        replaces.check(f"source {name}", _view(row, rt.clock()))
        if "mapping" in changes:
            mapping = changes["mapping"]
            read = check_mapping(mapping) if mapping is not None else None
            parser_for(row.product, read)
            row.mapping = read.model_dump(mode="json", by_alias=True) if read else None
        if "senders" in changes:
            row.senders = check_senders(changes["senders"])
        row.correlate_by = changes.get("correlate_by", row.correlate_by)
        row.correlate_within = int(changes.get("correlate_within", row.correlate_within))
        row.mode = changes.get("mode", row.mode)
        _check(name, row.scheme, row.correlate_by, timedelta(seconds=row.correlate_within))
        view = _view(row, rt.clock())
        data: dict[str, Any] = {"product": row.product, "scheme": row.scheme, "mode": row.mode}
        data |= {"changed": sorted(changes), "senders": row.senders}
        await trail.record(
            session, EventKind.SOURCE_SAVED, actor=actor, subject=name, data=data, now=rt.clock()
        )
    return view


async def rotate_secret(
    rt: Runtime,
    name: str,
    *,
    overlap: timedelta,
    secret: SecretStr | None = None,
    actor: str,
    replaces: Precondition = ANY_STATE,
) -> tuple[SourceView, SecretStr | None]:
    """Give a source a new secret; the one that it has is accepted for the overlap too.

    A secret from an earlier rotation is refused from now on. Return the secret where it is
    generated here. Raise NotFound, Invalid.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid(f"overlap: use 0 seconds to {MAX_OVERLAP.days} days")
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"source {name}"])
        row = await records.get(session, SourceRow, name)
        if row is None:
            raise NotFound(f"source {name!r} does not exist; `tocsin source list` lists them")
        replaces.check(f"source {name}", _view(row, now))
        scheme = Scheme(row.scheme)
        if secret is not None:
            check_secret(scheme, secret)
        chosen = secret or SecretStr(generate_secret(scheme))
        end = now + overlap if overlap else None
        row.old_secret, row.old_secret_expires_at = (row.secret if end else None), end
        row.secret = rt.secrets.seal(chosen.get_secret_value().encode(), secret_context(name))
        view = _view(row, now)
        data = {"old_accepted_until": to_iso(end), "generated": secret is None}
        await trail.record(
            session, EventKind.SOURCE_ROTATED, actor=actor, subject=name, data=data, now=now
        )
    return view, None if secret else chosen


def open_secrets(rt: Runtime, row: SourceRow, now: datetime) -> list[SecretStr]:
    """Return the secrets that prove a source now, the newest first."""
    sealed = [row.secret]
    if row.old_secret is not None and _overlap_end(row, now) is not None:
        sealed.append(row.old_secret)
    return [SecretStr(rt.secrets.open(each, secret_context(row.name)).decode()) for each in sealed]


async def get_source(rt: Runtime, name: str) -> SourceDetails:
    """Return a source with what it sent. Raise NotFound."""
    async with rt.store.read() as session:
        row = await records.get(session, SourceRow, name)
        if row is None:
            raise NotFound(f"source {name!r} does not exist; `tocsin source list` lists them")
        since = (rt.clock() - timedelta(days=_DAYS_SHOWN)).date()
        seen = (await activity.by_source(session, since)).get(name, activity.SourceActivity())
        kept = (await rejected.count_kept(session)).get(name, 0)
    counts = WebhookCounts(
        last_seen_at=seen.last_at,
        accepted=seen.accepted,
        duplicates=seen.duplicates,
        unreadable=seen.unreadable,
        refused=seen.refused,
        rejected_kept=kept,
    )
    return SourceDetails(**_view(row, rt.clock()).model_dump(), activity=counts)


async def find_source(rt: Runtime, name: str) -> SourceRow | None:
    """Return the row of a source, None for an unknown one."""
    return await read_source(rt.store, name)


async def load_source(rt: Runtime, name: str) -> SourceRow:
    """Return the row of a source, for those who act on what it sent. Raise NotFound."""
    row = await find_source(rt, name)
    if row is None:
        raise NotFound("unknown source; an admin adds one with `tocsin source add`")
    return row


def parser_of(source: SourceRow) -> Parser:
    """Return the parser of a source's product, or of its mapping."""
    return _parser(source.product, json.dumps(source.mapping))


@lru_cache(maxsize=256)
def _parser(product: str, mapping: str) -> Parser:
    """Return a parser, cached by the mapping's text, as checking a mapping takes long."""
    raw = json.loads(mapping)
    return parser_for(product, check_mapping(raw) if raw else None)


def check_senders(networks: Iterable[str]) -> list[str]:
    """Return networks in canonical spelling. Raise Invalid."""
    try:
        return sorted({canonical_network(each) for each in networks})
    except ValueError as error:
        raise Invalid(f"senders: {error}; write networks such as 192.0.2.0/24") from None


async def list_sources(rt: Runtime, wanted: SourceFilter = EVERY_SOURCE) -> tuple[SourceView, ...]:
    """Return sources by name."""
    now = rt.clock()
    async with rt.store.read() as session:
        rows = await configuration.list_sources(session, wanted)
        return tuple(_view(row, now) for row in rows)


async def remove_source(
    rt: Runtime, name: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Remove a source and keep its alerts. Raise NotFound."""
    async with rt.store.write() as session:
        row = await records.get(session, SourceRow, name)
        if row is None:
            raise NotFound(f"source {name!r} does not exist")
        replaces.check(f"source {name}", _view(row, rt.clock()))
        await records.remove(session, row)
        await trail.record(
            session, EventKind.SOURCE_REMOVED, actor=actor, subject=name, data={}, now=rt.clock()
        )


def secret_context(name: str) -> bytes:
    """Return the encryption context of a source's secret."""
    return f"source:{name}".encode()


def _options(given: dict[str, Any] | None) -> SchemeOptions:
    try:
        return SchemeOptions.model_validate(given or {})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise Invalid(
            "; ".join(
                f"option {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems
            )
        ) from None


def _check(name: str, scheme: str, correlate_by: str, correlate_within: timedelta) -> Scheme:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise Invalid(f"source name {name!r} is invalid; use a-z, 0-9, - and _")
    if correlate_by not in CORRELATIONS or correlate_within < timedelta(0):
        raise Invalid(
            f"correlate alerts by one of {', '.join(CORRELATIONS)}, within 0 or more seconds"
        )
    try:
        return Scheme(scheme)
    except ValueError:
        raise Invalid(
            f"unknown authentication {scheme!r}; use one of {', '.join(Scheme)}"
        ) from None


def _view(row: SourceRow, now: datetime) -> SourceView:
    shown = row.model_dump(exclude={"secret", "old_secret"})
    return SourceView.model_validate({**shown, "old_secret_expires_at": _overlap_end(row, now)})


def _overlap_end(row: SourceRow, now: datetime) -> datetime | None:
    until = row.old_secret_expires_at
    return until if until is not None and until > now else None
