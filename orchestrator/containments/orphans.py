"""Orphans: objects on devices that carry Tocsin's tag and that the database does not know.

A database restored from an old backup leaves such objects behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import ConfigDict, Field
from temporalio.client import Client

from connectors.sdk.call import tag_of
from orchestrator.connections.call_context import call_key
from orchestrator.connections.manage import list_connections
from orchestrator.domain.errors import NotFound, Unavailable
from orchestrator.domain.model import Frozen
from orchestrator.requests import RequestKind, ask_worker
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, EffectRow

LIST_WITHIN = timedelta(seconds=20)
"""The time limit for one system."""
_ANSWER_WITHIN = LIST_WITHIN + timedelta(seconds=5)

_ORPHAN: dict[str, Any] = {
    "action": "block_address",
    "target": "198.51.100.9",
    "tag": "tocsin-0123456789abcdef",
    "note": "",
}


class OrphanView(Frozen):
    """An object on a device that carries Tocsin's tag."""

    action: str
    target: str
    tag: str
    note: str


class ConnectionOrphans(Frozen):
    """The orphans on one system."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "connection": "firewall",
                "connector": "palo_alto",
                "listed": True,
                "why": None,
                "orphans": [_ORPHAN],
            }
        }
    )

    connection: str
    connector: str
    listed: bool = Field(description="Whether the system was able to list tagged objects.")
    why: str | None = Field(description="Why it did not list them, or not those of all actions.")
    orphans: list[OrphanView]


class ListTagged(Frozen):
    """Asks a worker for the tagged objects on a system."""

    connection: str


class Listing(Frozen):
    """The tagged objects on a system, or why they are unknown."""

    listed: bool
    why: str | None = None
    tagged: list[OrphanView] = []


LIST_TAGGED = RequestKind("list_tagged", ListTagged, Listing)


async def list_orphans(
    rt: Runtime, client: Client | None, *, connection: str | None = None
) -> Page[ConnectionOrphans]:
    """Return the orphans per connection; workers ask the devices now. Raise NotFound."""
    views = [
        view for view in await list_connections(rt) if connection is None or view.name == connection
    ]
    if connection is not None and not views:
        raise NotFound(
            f"connection {connection!r} does not exist; `tocsin connection list` lists them"
        )
    listings = await asyncio.gather(*(_listing(client, view.name) for view in views))
    return Page(
        items=[
            ConnectionOrphans(
                connection=view.name,
                connector=view.connector,
                listed=listing.listed,
                why=listing.why,
                orphans=await _unknown(rt, view.name, listing),
            )
            for view, listing in zip(views, listings, strict=True)
        ]
    )


async def _listing(client: Client | None, connection: str) -> Listing:
    try:
        return await ask_worker(
            client, LIST_TAGGED, ListTagged(connection=connection), within=_ANSWER_WITHIN
        )
    except Unavailable as error:
        return Listing(listed=False, why=str(error))


async def _unknown(rt: Runtime, connection: str, listing: Listing) -> list[OrphanView]:
    """Return what the database does not know; it is read last, to know what is made meanwhile."""
    if not listing.tagged:
        return []
    async with rt.store.read() as session:
        known = _Known(*await containments.in_force_on_connection(session, connection))
    return [item for item in listing.tagged if item not in known]


class _Known:
    """What the database has in force on a connection, by tag and by target."""

    def __init__(
        self, containments: Sequence[ContainmentRow], effects: Sequence[EffectRow]
    ) -> None:
        self._tags = {tag_of(call_key(row.run_id, row.path, row.action)) for row in effects}
        self._targets = {(row.action, row.target_value) for row in containments}

    def __contains__(self, item: OrphanView) -> bool:
        return item.tag in self._tags or (item.action, item.target) in self._targets
