"""Sources: products that send alerts, how they authenticate and how they are parsed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, SecretStr, ValidationError

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode
from orchestrator.intake.authenticate import Scheme, SchemeOptions, check_secret, generate_secret
from orchestrator.intake.mapping import check_mapping
from orchestrator.intake.parsers import parser_for
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records
from orchestrator.store.tables import SourceRow

CORRELATIONS = ("host", "user", "remote", "rule", "none")
"""What alerts of one incident can share."""


_EXAMPLE: dict[str, JsonValue] = {
    "name": "edge-ids",
    "product": "suricata",
    "scheme": "standard_webhooks",
    "options": {"header": "x-tocsin-token"},
    "mapping": None,
    "correlate_by": "host",
    "correlate_within": 3600,
    "mode": "live",
    "created_at": "2026-01-01T12:00:00Z",
}


class SourceView(Frozen):
    """A source without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: str
    product: str
    scheme: Scheme
    options: dict[str, Any]
    mapping: dict[str, Any] | None
    correlate_by: str
    correlate_within: Annotated[int, Field(description="Seconds.")]
    mode: Mode
    created_at: datetime


class AddedSource(SourceView):
    """A new source. This is the only time that its generated secret is shown."""

    model_config = ConfigDict(json_schema_extra={"example": {**_EXAMPLE, "secret": "whsec_..."}})

    secret: Annotated[
        str | None, Field(description="The generated secret; null where the client sent its own.")
    ]


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
        created_at=rt.clock(),
    )
    view = _view(row)
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


async def list_sources(rt: Runtime) -> tuple[SourceView, ...]:
    """Return all sources by name."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.list_all(session, SourceRow))


async def remove_source(
    rt: Runtime, name: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Remove a source and keep its alerts. Raise NotFound."""
    async with rt.store.write() as session:
        row = await records.get(session, SourceRow, name)
        if row is None:
            raise NotFound(f"source {name!r} does not exist")
        replaces.check(f"source {name}", _view(row))
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


def _view(row: SourceRow) -> SourceView:
    return SourceView.model_validate(row.model_dump(exclude={"secret"}))
