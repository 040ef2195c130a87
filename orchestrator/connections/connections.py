"""Connections: which connector and which settings stand behind the names that playbooks use."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.pool import Slot
from connectors.registry import connector as connector_named
from connectors.sdk.connector import Connector
from connectors.sdk.guard import reading_only
from connectors.sdk.open import open_connector, parse_settings
from connectors.sdk.settings import secret_fields, write_fields
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections import credentials
from orchestrator.connections.write_guard_audit import attempts_noted
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import records
from orchestrator.store.tables import ConnectionRow

NAME = r"[a-z][a-z0-9_-]{0,63}"


class ConnectionView(Frozen):
    """A connection without its secrets; `secrets` names the fields that hold one."""

    name: str
    connector: str
    capability: str
    settings: dict[str, Any]
    secrets: tuple[str, ...]
    revision: int
    saved_at: datetime


async def save_connection(
    rt: Runtime,
    name: str,
    connector: str,
    settings: dict[str, Any],
    *,
    actor: str,
    check: bool = True,
) -> ConnectionView:
    """Tries the credential first, unless told not to; saves it sealed. Raises Invalid, NotFound, ActionError; then nothing was saved."""
    if not re.fullmatch(NAME, name):
        raise Invalid(
            f"{name!r} is no name for a connection: use a-z, 0-9, _ and -, a mail first; playbooks write it before the dot"
        )
    cls = connector_named(connector)
    parse_settings(cls, settings)
    if check:
        async with attempts_noted(rt, name, "whether it answers, before it is saved"):
            await _try(cls, settings)
    clear = {
        field: value
        for field, value in settings.items()
        if value is None or field not in secret_fields(cls.settings_type)
    }
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"connection {name}"])
        before = await records.one(session, ConnectionRow, name)
        revision = before.revision + 1 if before else 1
        secrets = credentials.sealed(rt.secrets, name, cls.settings_type, settings)
        capability = getattr(cls, "capability", "")
        row = ConnectionRow(
            name=name,
            connector=connector,
            capability=capability,
            settings=clear,
            secrets=secrets,
            revision=revision,
            saved_at=now,
        )
        await records.put(session, row)
        told = {"connector": connector, "revision": revision, "checked": check}
        await trail.record(
            session, EventKind.CONNECTION_SAVED, actor=actor, subject=name, data=told, now=now
        )
    return _view(row)


async def list_connections(rt: Runtime) -> tuple[ConnectionView, ...]:
    """All of them."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.every(session, ConnectionRow))


async def remove_connection(rt: Runtime, name: str, *, actor: str) -> None:
    """Raises NotFound."""
    async with rt.store.write() as session:
        row = await _row(rt, session, name)
        await records.remove(session, row)
        await trail.record(
            session,
            EventKind.CONNECTION_REMOVED,
            actor=actor,
            subject=name,
            data={},
            now=rt.clock(),
        )


async def check_connection(rt: Runtime, name: str) -> str:
    """Tries the credential; one line. Raises NotFound, ActionError."""
    opened = await open_connection_for(rt, name, Access.READ)
    async with attempts_noted(rt, name, "whether it answers"):
        with reading_only(opened.way_out):
            return await opened.check()


async def open_connection_for(rt: Runtime, name: str, access: Access) -> Connector[Any]:
    """The open connector of a connection, kept for its revision. With READ its write credential is not loaded. Raises NotFound."""
    async with rt.store.read() as session:
        row = await _row(rt, session, name)

    def make() -> Connector[Any]:
        hidden = credentials.opened(rt.secrets, name, row.secrets, access)
        return open_connector(connector_named(row.connector), {**row.settings, **hidden}, access)

    return rt.connections.get(slot(row, access), make)


async def _try(cls: type[Connector[Any]], settings: dict[str, Any]) -> None:
    """Both credentials, where reading and writing have one each; neither changes anything."""
    apart = any(settings.get(field) is not None for field in write_fields(cls.settings_type))
    for access in (Access.READ, Access.WRITE) if apart else (Access.READ,):
        async with open_connector(cls, settings, access) as opened:
            with reading_only(opened.way_out):
                await opened.check()


async def _row(rt: Runtime, session: AsyncSession, name: str) -> ConnectionRow:
    row = await records.one(session, ConnectionRow, name)
    if row is None:
        raise NotFound(
            f"there is no connection {name!r} in {rt.settings.environment}; add it with `tocsin connection add {name}`"
        )
    return row


def _view(row: ConnectionRow) -> ConnectionView:
    fields = tuple(sorted(secret_fields(connector_named(row.connector).settings_type)))
    return ConnectionView(**row.model_dump(exclude={"secrets"}), secrets=fields)


def slot(row: ConnectionRow, access: Access) -> Slot:
    """Where the connector of a saved connection belongs. What is sealed differs each time, even for the same secret."""
    return Slot(row.name, hashlib.sha256(row.secrets).hexdigest(), access)
