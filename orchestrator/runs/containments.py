"""How does a person take a containment back before its time? Its leases are made to end now; who watches them does the rest."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.engine.activities.holding import BY_HAND, watch
from orchestrator.runs.query import containment_view
from orchestrator.runtime import Runtime
from orchestrator.store import containments
from orchestrator.store.tables import ContainmentRow, LeaseRow


async def release(rt: Runtime, client: Client | None, name: str, *, actor: str) -> dict[str, Any]:
    """Releases a containment by its key (all leases), or one lease by its id. No kill switch stands against it.

    Raises NotFound, Conflict (lifted already). It is done by the worker, also when Temporal is down now.
    """
    async with rt.store.write() as session:
        held, leases = await _found(session, name)
        await _end(session, rt, held, leases, actor)
    if client is not None:
        with suppress(RPCError, RuntimeError):  # the sweeper finds leases that are over
            await watch(client, held.key)
    async with rt.store.read() as session:
        row = await containments.get(session, held.key)
        return containment_view(row or held, await containments.leases_of(session, [held.key]))


async def _found(session: AsyncSession, name: str) -> tuple[ContainmentRow, list[LeaseRow]]:
    lease = await containments.lease(session, name)
    held = await containments.lock(session, lease.containment_key if lease else name)
    if held is None:
        raise NotFound(f"there is no containment and no lease {name}")
    live = [each for each in await containments.live(session, held.key) if lease is None or each.id == lease.id]
    if not live and (held.state == "lifted" or lease is not None):
        raise Conflict(f"{name} is released already")
    return held, live


async def _end(session: AsyncSession, rt: Runtime, held: ContainmentRow, leases: list[LeaseRow], actor: str) -> None:
    now = rt.clock()
    if held.state == "stuck":
        held.state, held.error = "held", None  # tried once more
    for lease in leases:
        await containments.set_until(session, lease.id, now, f"{BY_HAND}{actor.removeprefix('person:')}")
        told = {"containment": held.key, "lease": lease.id, "until": now, "reason": "released by hand"}
        await trail.record(session, EventKind.LEASE_CHANGED, actor=actor, subject=lease.run_id, data=told, now=now)
