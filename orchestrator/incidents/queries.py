"""How do alerts and incidents look from outside? As plain JSON; the raw payload only where it is asked for."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.errors import NotFound
from orchestrator.runtime import Runtime
from orchestrator.store.paging import after, bounded, page, said
from orchestrator.store.queries import alerts, incidents
from orchestrator.store.tables import AlertRow, IncidentRow


async def list_alerts(
    rt: Runtime,
    *,
    incident_id: str | None = None,
    source: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """Alerts, newest first. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await incidents.alerts(
            session,
            after=after(cursor),
            limit=bounded(limit),
            incident_id=incident_id,
            source=source,
        )
    return page(
        [_alert(row) for row in rows], limit, (rows[-1].received_at, rows[-1].id) if rows else None
    )


async def get_alert(rt: Runtime, alert_id: str) -> dict[str, Any]:
    """An alert with what playbooks see of it. Raises NotFound."""
    row = await _found(rt, alert_id)
    return {**_alert(row), "alert": row.view}


async def get_raw(rt: Runtime, alert_id: str) -> bytes:
    """What was sent, byte for byte. Raises NotFound."""
    row = await _found(rt, alert_id)
    async with rt.store.read() as session:
        return await alerts.raw_of(session, row)


async def list_incidents(
    rt: Runtime, *, status: str | None = None, cursor: str | None = None, limit: int = 50
) -> dict[str, Any]:
    """Incidents, newest first. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await incidents.incidents(
            session, after=after(cursor), limit=bounded(limit), status=status
        )
    return page(
        [_incident(row) for row in rows], limit, (rows[-1].opened_at, rows[-1].id) if rows else None
    )


async def get_incident(rt: Runtime, incident_id: str) -> dict[str, Any]:
    """One incident. Raises NotFound."""
    async with rt.store.read() as session:
        row = await incidents.incident(session, incident_id)
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    return _incident(row)


async def _found(rt: Runtime, alert_id: str) -> AlertRow:
    async with rt.store.read() as session:
        row = await incidents.alert(session, alert_id)
    if row is None:
        raise NotFound(f"there is no alert {alert_id}")
    return row


def _alert(row: AlertRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "source": row.source,
        "product": row.product,
        "incident_id": row.incident_id,
        "title": row.title,
        "severity": row.severity,
        "alert_class": row.alert_class,
        "raw_sha256": row.raw_sha256,
        "seen": row.seen,
        "received_at": said(row.received_at),
        "last_seen_at": said(row.last_seen_at),
    }


def _incident(row: IncidentRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "severity": row.severity,
        "status": row.status,
        "alerts": row.alerts,
        "opened_at": said(row.opened_at),
        "last_alert_at": said(row.last_alert_at),
    }
