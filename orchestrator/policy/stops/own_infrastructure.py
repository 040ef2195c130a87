"""Own infrastructure: each process records what it depends on, and the policy protects it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic import ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableType
from orchestrator.policy.stops.self_protection import (
    OWN_FOR,
    SystemFiles,
    find_machine_addresses,
    resolve_hosts,
)
from orchestrator.runtime import Runtime
from orchestrator.store.queries import policy_inputs, records
from orchestrator.store.tables import ConnectionRow, OwnRow

_log = structlog.get_logger(__name__)
NOTE_SECONDS = 60.0
"""How often a process records what it depends on."""
_EVERYWHERE = {"0.0.0.0", "::", "*"}  # noqa: S104 - compared with, not listened on


class OwnView(Frozen):
    """One thing that Tocsin depends on, protected as if the policy listed it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "node": "soc-1",
                "type": "address",
                "value": "10.0.0.1",
                "why": "a default gateway",
                "last_seen_at": "2026-01-01T12:00:00Z",
            }
        }
    )

    node: str = Field(description="The machine that found it.")
    type: ObservableType
    value: str
    why: str
    last_seen_at: datetime


async def record_own(
    rt: Runtime, *, node: str | None = None, places: SystemFiles | None = None
) -> int:
    """Record what this process depends on now. Return how many things.

    Names that do not resolve delay it by a few seconds at most.
    """
    name = node or socket.gethostname()
    async with rt.store.read() as session:
        connections = [
            (row.name, row.settings) for row in await records.list_all(session, ConnectionRow)
        ]
    found = [
        *find_machine_addresses(places),
        *await resolve_hosts([*_hosts(rt, name), *_of_connections(connections)]),
    ]
    now = rt.clock()
    # Of several reasons the first is kept.
    why = {(each.type.value, each.value): each.why for each in reversed(found)}
    rows: list[dict[str, str | datetime]] = [
        {"node": name, "type": kind, "value": value, "why": reason, "seen_at": now}
        for (kind, value), reason in sorted(why.items())
    ]
    async with rt.store.write() as session:
        await policy_inputs.save_own(session, rows, forget_before=now - OWN_FOR)
    return len(rows)


async def record_own_safely(rt: Runtime) -> None:
    """Record as `record_own`, and log a failure. What was recorded before still protects."""
    try:
        await record_own(rt)
    except (SQLAlchemyError, OSError) as error:
        _log.warning("own infrastructure not recorded", error=type(error).__name__)


async def record_own_until(rt: Runtime, stop: asyncio.Event) -> None:
    """Record again every minute until `stop` is set."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), NOTE_SECONDS)
            return
        await record_own_safely(rt)


async def list_own(rt: Runtime) -> tuple[OwnView, ...]:
    """Return everything that is protected in this way."""
    since = rt.clock() - OWN_FOR
    async with rt.store.read() as session:
        return tuple(
            OwnView(**row.model_dump(exclude={"seen_at"}), last_seen_at=row.seen_at)
            for row in await records.list_all(session, OwnRow)
            if row.seen_at > since
        )


def _hosts(rt: Runtime, node: str) -> Iterator[tuple[str, str]]:
    settings = rt.settings
    yield node, "the machine that Tocsin runs on"
    if settings.host not in _EVERYWHERE:  # its addresses are found anyway
        yield settings.host, "the address that Tocsin listens on"
    yield settings.temporal_address.rpartition(":")[0], "Temporal"
    if rt.store.host:
        yield rt.store.host, "the database"
    if settings.outbound_proxy and (proxy := _hostname(settings.outbound_proxy.get_secret_value())):
        yield proxy, "the outbound proxy"


def _of_connections(connections: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Yield the host of every URL in the settings: a firewall must not block its own interface."""
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
