"""Sources: who may send alerts, how they prove it, and how their payload is read."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr, ValidationError

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
from orchestrator.store.queries import records
from orchestrator.store.tables import SourceRow

CORRELATIONS = ("host", "user", "remote", "rule", "none")


class SourceView(Frozen):
    """A source without its secret."""

    name: str
    product: str
    scheme: Scheme
    options: dict[str, Any]
    mapping: dict[str, Any] | None
    correlate_by: str
    correlate_within: int
    mode: Mode
    created_at: datetime


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
    """Saves a source; the secret is given back once where it was made here. Raises Invalid, Conflict."""
    kind = _checked(name, scheme, correlate_by, correlate_within)
    if secret is not None:
        check_secret(kind, secret)
    chosen = secret or SecretStr(generate_secret(kind))
    read = check_mapping(mapping) if mapping is not None else None
    parser_for(product, read)
    row = SourceRow(
        name=name,
        product=product,
        scheme=kind.value,
        secret=rt.secrets.seal(chosen.get_secret_value().encode(), context(name)),
        options=_options(options).model_dump(),
        mapping=read.model_dump(mode="json", by_alias=True) if read else None,
        correlate_by=correlate_by,
        correlate_within=int(correlate_within.total_seconds()),
        mode=mode.value,
        created_at=rt.clock(),
    )
    view = _view(row)
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"source {name}"])
        if await records.one(session, SourceRow, name) is not None:
            raise Conflict(
                f"there is a source {name!r} already; remove it first, or choose another name"
            )
        await records.add(session, row)
        told = {"product": product, "scheme": kind.value, "mode": mode}
        await trail.record(
            session,
            EventKind.SOURCE_SAVED,
            actor=actor,
            subject=name,
            data=told,
            now=view.created_at,
        )
    return view, None if secret else chosen


async def list_sources(rt: Runtime) -> tuple[SourceView, ...]:
    """All of them."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.every(session, SourceRow))


async def remove_source(rt: Runtime, name: str, *, actor: str) -> None:
    """Its alerts stay. Raises NotFound."""
    async with rt.store.write() as session:
        row = await records.one(session, SourceRow, name)
        if row is None:
            raise NotFound(f"there is no source {name!r}")
        await records.remove(session, row)
        await trail.record(
            session, EventKind.SOURCE_REMOVED, actor=actor, subject=name, data={}, now=rt.clock()
        )


def context(name: str) -> bytes:
    """What a source's secret is sealed to."""
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


def _checked(name: str, scheme: str, correlate_by: str, correlate_within: timedelta) -> Scheme:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise Invalid(f"{name!r} is no name for a source: use a-z, 0-9, - and _")
    if correlate_by not in CORRELATIONS or correlate_within < timedelta(0):
        raise Invalid(
            f"alerts are correlated by one of {', '.join(CORRELATIONS)}, within 0 or more seconds"
        )
    try:
        return Scheme(scheme)
    except ValueError:
        raise Invalid(
            f"unknown authentication {scheme!r}; it is one of {', '.join(Scheme)}"
        ) from None


def _view(row: SourceRow) -> SourceView:
    return SourceView.model_validate(row.model_dump(exclude={"secret"}))
