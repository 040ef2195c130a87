"""Own infrastructure: each process says what it stands on, and the judge protects all of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType
from orchestrator.policy.stops.self_protection import OWN_FOR, Places, of_hosts, of_this_machine
from orchestrator.runtime import Runtime
from orchestrator.store.queries import policy_inputs, records
from orchestrator.store.tables import ConnectionRow, OwnRow

_log = structlog.get_logger(__name__)
NOTE_SECONDS = 60.0
"""How often a process looks."""
_EVERYWHERE = {"0.0.0.0", "::", "*"}  # noqa: S104 - compared with, not listened on


class OwnView(Frozen):
    """One thing that Tocsin stands on: protected like what the policy lists. `node`: the machine that found it."""

    node: str
    type: ObservableType
    value: str
    why: str
    seen_at: datetime


async def note_own(rt: Runtime, *, node: str | None = None, places: Places | None = None) -> int:
    """Writes down what this process finds now; how much. Names that lead nowhere cost at most some seconds."""
    name = node or socket.gethostname()
    async with rt.store.read() as session:
        connections = [
            (row.name, row.settings) for row in await records.every(session, ConnectionRow)
        ]
    found = [
        *of_this_machine(places),
        *await of_hosts([*_hosts(rt, name), *_of_connections(connections)]),
    ]
    now = rt.clock()
    why = {
        (each.type.value, each.value): each.why for each in reversed(found)
    }  # the first reason that was found is told
    rows: list[dict[str, str | datetime]] = [
        {"node": name, "type": kind, "value": value, "why": reason, "seen_at": now}
        for (kind, value), reason in sorted(why.items())
    ]
    async with rt.store.write() as session:
        await policy_inputs.put_own(session, rows, forget_before=now - OWN_FOR)
    return len(rows)


async def note_safely(rt: Runtime) -> None:
    """As `note_own`; what can't be written is logged, and what was written before still protects."""
    try:
        await note_own(rt)
    except (SQLAlchemyError, OSError) as error:
        _log.warning("own infrastructure could not be noted", error=type(error).__name__)


async def note_until(rt: Runtime, stop: asyncio.Event) -> None:
    """Looks again every minute."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), NOTE_SECONDS)
            return
        await note_safely(rt)


async def list_own(rt: Runtime) -> tuple[OwnView, ...]:
    """All that is protected so, by node, type and value."""
    since = rt.clock() - OWN_FOR
    async with rt.store.read() as session:
        return tuple(
            OwnView(**row.model_dump())
            for row in await records.every(session, OwnRow)
            if row.seen_at > since
        )


def _hosts(rt: Runtime, node: str) -> Iterator[tuple[str, str]]:
    settings = rt.settings
    yield node, "the machine that Tocsin runs on"
    if settings.host not in _EVERYWHERE:  # each of its addresses is found by itself
        yield settings.host, "where Tocsin listens"
    yield settings.temporal_address.rpartition(":")[0], "Temporal"
    if settings.database_url is not None and (host := make_url(settings.store_url).host):
        yield host, "the database"


def _of_connections(connections: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Every setting that is a web address: a firewall must not block the way to itself."""
    for name, settings in connections:
        for value in settings.values():
            if (
                isinstance(value, str)
                and value.startswith(("http://", "https://"))
                and (host := _hostname(value))
            ):
                yield host, f"the system behind connection {name}"


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
