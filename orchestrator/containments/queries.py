"""What is contained, by whom, why, since when, until when, on what device, and when was that last seen? As plain JSON, without secrets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.errors import NotFound
from orchestrator.runtime import Runtime
from orchestrator.store.paging import after, bounded, page, said
from orchestrator.store.queries import containments
from orchestrator.store.tables import ConnectionRow, ContainmentRow, EffectRow, LeaseRow, RunRow

Which = Literal["in_force", "all", "held", "lifting", "lifted", "stuck"]
"""`in_force`: all that is on a device now, or may be: held, lifting, stuck."""
_IN_FORCE = ("held", "lifting", "stuck")

Found = tuple[ContainmentRow, EffectRow | None, ConnectionRow | None]
Lease = tuple[LeaseRow, RunRow | None, str | None]


async def list_containments(
    rt: Runtime,
    *,
    state: Which = "in_force",
    lease: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """Containments with their leases, newest first. `lease`: the one that it holds. Raises Invalid for a bad cursor or limit."""
    states = {"in_force": _IN_FORCE, "all": None}.get(state, (state,))
    async with rt.store.read() as session:
        found = await containments.page(
            session, after=after(cursor), limit=bounded(limit), states=states, lease_id=lease
        )
        items = await _views(session, found)
    return page(items, limit, (found[-1][0].since, found[-1][0].key) if found else None)


async def get_containment(rt: Runtime, key: str) -> dict[str, Any]:
    """One containment. Raises NotFound."""
    found = await get_containments(rt, [key])
    if not found:
        raise NotFound(f"there is no containment {key}; `tocsin containments` lists them")
    return found[0]


async def get_containments(rt: Runtime, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Those of the keys that there are, newest first."""
    async with rt.store.read() as session:
        return await _views(session, await containments.whole(session, keys))


async def _views(session: AsyncSession, found: Sequence[Found]) -> list[dict[str, Any]]:
    leases: dict[str, list[Lease]] = defaultdict(list)
    for lease, run, title in await containments.leases_of(
        session, [row.key for row, _, _ in found]
    ):
        leases[lease.containment_key].append((lease, run, title))
    return [_view(*each, leases[each[0].key]) for each in found]


def _view(
    row: ContainmentRow,
    effect: EffectRow | None,
    connection: ConnectionRow | None,
    leases: Sequence[Lease],
) -> dict[str, Any]:
    live = [lease for lease, _, _ in leases if lease.state == "live"]
    return {
        "key": row.key,
        "connection": row.connection,
        "connector": connection.connector if connection else None,
        "device": _host(connection),
        "action": row.action,
        "target": {"type": row.target_type, "value": row.target_value},
        "state": row.state,
        "ours": row.ours,
        "since": said(row.since),
        "until": said(_until(live)),
        "lifted_at": said(row.lifted_at),
        "verified_at": said(row.verified_at),
        "drift": row.drift,
        "approval_id": effect.approval_id if effect else None,
        "error": row.error,
        "failures": row.failures,
        "retry_at": said(row.retry_at) if row.state == "stuck" else None,
        "escalated_at": said(row.escalated_at),
        "leases": [_lease(*each) for each in leases],
    }


def _until(live: Sequence[LeaseRow]) -> datetime | None:
    """When the last lease ends; None while one has no end."""
    return (
        max(lease.until for lease in live if lease.until)
        if live and all(lease.until for lease in live)
        else None
    )


def _host(connection: ConnectionRow | None) -> str | None:
    """The host alone: a path or a query may say more than everybody is to know."""
    url = connection.settings.get("base_url") if connection else None
    return urlsplit(url).netloc.rpartition("@")[2] or None if isinstance(url, str) else None


def _lease(row: LeaseRow, run: RunRow | None, alert_title: str | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "run_id": row.run_id,
        "path": row.path,
        "playbook": run.playbook if run else None,
        "version": run.version if run else None,
        "started_by": run.started_by if run else None,
        "incident_id": run.incident_id if run else None,
        "alert_id": run.alert_id if run else None,
        "alert": alert_title,
        "state": row.state,
        "until": said(row.until),
        "reason": row.reason,
        "created_at": said(row.created_at),
        "ended_at": said(row.ended_at),
    }
