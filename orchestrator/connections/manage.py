"""Saved connections: save, list, check and remove. A worker tries the credentials."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from connectors.capabilities.own import Own
from connectors.registry import connector as connector_named
from connectors.sdk.settings import parse_settings, secret_fields
from orchestrator.audit import trail
from orchestrator.connections.credentials import clear_settings, seal_credentials
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.requests import RequestKind, ask_worker
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import ConnectionFilter
from orchestrator.store.tables import ConnectionRow

NAME = r"[a-z][a-z0-9_-]{0,63}"
EVERY_CONNECTION = ConnectionFilter()
CHECK_WITHIN = timedelta(seconds=30)
"""The time limit for a check of one or two credentials."""


class ConnectionView(Frozen):
    """A connection, without its secrets."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "firewall",
                "connector": "palo_alto",
                "capability": "firewall",
                "settings": {"base_url": "https://firewall.example"},
                "secrets": ["api_key"],
                "revision": 1,
                "updated_at": "2026-01-01T12:00:00Z",
            }
        }
    )

    name: str
    connector: str
    capability: str
    settings: dict[str, Any] = Field(description="The settings that are not secret.")
    secrets: tuple[str, ...] = Field(description="The names of the secret settings.")
    revision: int = Field(description="How many times the connection was saved.")
    updated_at: datetime


class ConnectionCheck(Frozen):
    """The result of a check that succeeded."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "firewall", "answer": "the API key works"}}
    )

    name: str
    answer: str = Field(description="What the system answered, in one line.")


class CheckConnection(Frozen):
    """Asks a worker to try the read credential of a saved connection."""

    name: str


class CheckSettings(Frozen):
    """Asks a worker to try the credentials of a connection that is not saved yet."""

    name: str
    connector: str
    settings: dict[str, Any]  # without secrets
    secrets: str  # sealed credentials, base64


CHECK_CONNECTION = RequestKind("check_connection", CheckConnection, str)
CHECK_SETTINGS = RequestKind("check_settings", CheckSettings, type(None))


async def save_connection(
    rt: Runtime,
    name: str,
    connector: str,
    settings: dict[str, Any],
    *,
    actor: str,
    client: Client | None = None,
    check: bool = True,
    replaces: Precondition = ANY_STATE,
) -> ConnectionView:
    """Save a connection with sealed secrets, after a worker tried its credentials (`check`).

    Raise Invalid, NotFound (the connector), ActionError (the check) or PreconditionFailed; then
    nothing was saved.
    """
    if not re.fullmatch(NAME, name):
        raise Invalid(
            f"{name!r} is not a valid connection name: use a-z, 0-9, _ and -, starting with a "
            "letter; playbooks write it before the dot"
        )
    if name == Own.default_connection:
        raise Invalid(f"{name!r} is Tocsin itself in playbooks; choose another name")
    cls = connector_named(connector)
    parse_settings(cls.name, cls.settings_type, settings)
    tried = _settings_to_check(rt, name, connector, settings)
    if check:
        await ask_worker(client, CHECK_SETTINGS, tried, within=CHECK_WITHIN)
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"connection {name}"])
        before = await records.get(session, ConnectionRow, name)
        replaces.check(f"connection {name}", _view(before) if before else None)
        revision = before.revision + 1 if before else 1
        row = ConnectionRow(
            name=name,
            connector=connector,
            capability=getattr(cls, "capability", ""),
            settings=tried.settings,
            secrets=base64.b64decode(tried.secrets),
            revision=revision,
            saved_at=now,
        )
        await records.upsert(session, row)
        data = {"connector": connector, "revision": revision, "checked": check}
        await trail.record(
            session, EventKind.CONNECTION_SAVED, actor=actor, subject=name, data=data, now=now
        )
    return _view(row)


def _settings_to_check(
    rt: Runtime, name: str, connector: str, settings: dict[str, Any]
) -> CheckSettings:
    """Return the settings of a connection with its secrets sealed."""
    settings_type = connector_named(connector).settings_type
    sealed = seal_credentials(rt.secrets, name, connector, settings_type, settings)
    return CheckSettings(
        name=name,
        connector=connector,
        settings=clear_settings(settings_type, settings),
        secrets=base64.b64encode(sealed).decode("ascii"),
    )


async def list_connections(
    rt: Runtime, wanted: ConnectionFilter = EVERY_CONNECTION
) -> tuple[ConnectionView, ...]:
    """Return connections by name."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await configuration.list_connections(session, wanted))


async def get_connection(rt: Runtime, name: str) -> ConnectionView:
    """Return a connection. Raise NotFound."""
    async with rt.store.read() as session:
        return _view(await get_connection_row(rt, session, name))


async def check_connection(rt: Runtime, client: Client | None, name: str) -> ConnectionCheck:
    """Have a worker try the credential of a connection. Raise NotFound, ActionError."""
    async with rt.store.read() as session:
        await get_connection_row(rt, session, name)
    message = CheckConnection(name=name)
    answer = await ask_worker(client, CHECK_CONNECTION, message, within=CHECK_WITHIN)
    return ConnectionCheck(name=name, answer=answer)


async def remove_connection(
    rt: Runtime, name: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Delete a connection with its secrets. Raise NotFound."""
    async with rt.store.write() as session:
        row = await get_connection_row(rt, session, name)
        replaces.check(f"connection {name}", _view(row))
        await records.remove(session, row)
        await trail.record(
            session,
            EventKind.CONNECTION_REMOVED,
            actor=actor,
            subject=name,
            data={},
            now=rt.clock(),
        )


async def get_connection_row(rt: Runtime, session: AsyncSession, name: str) -> ConnectionRow:
    """Return the row of a connection. Raise NotFound."""
    row = await records.get(session, ConnectionRow, name)
    if row is None:
        raise NotFound(
            f"connection {name!r} does not exist in {rt.settings.environment}; "
            f"add it with `tocsin connection add {name}`"
        )
    return row


def _view(row: ConnectionRow) -> ConnectionView:
    fields = tuple(sorted(secret_fields(connector_named(row.connector).settings_type)))
    shown = row.model_dump(exclude={"secrets", "saved_at", "releases"})
    return ConnectionView(**shown, secrets=fields, updated_at=row.saved_at)
