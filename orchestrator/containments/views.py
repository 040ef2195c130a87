"""Containments and leases as the API returns them, without secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from orchestrator.domain.containment import (
    ContainmentState,
    DriftState,
    LeaseEndReason,
    LeaseState,
)
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import CONTAIN_BY_HAND
from orchestrator.store.tables import ConnectionRow, ContainmentRow, EffectRow, LeaseRow, RunRow

LeaseContext = tuple[LeaseRow, RunRow | None, str | None]
"""A lease, its run, and the title of the run's alert."""

_LEASE: dict[str, Any] = {
    "id": "run_019a8c7d21f04b6c1e2f3a4b5c6d/contain/block",
    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "path": "contain/block",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "started_by": "source:edge",
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
    "alert": "ET MALWARE Cobalt Strike Beacon",
    "reason": None,
    "state": "live",
    "expires_at": "2026-01-02T12:00:02Z",
    "end_reason": None,
    "ended_by": None,
    "created_at": "2026-01-01T12:00:01Z",
    "ended_at": None,
}
CONTAINMENT_EXAMPLE: dict[str, Any] = {
    "id": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d",
    "connection": "firewall",
    "connector": "palo_alto",
    "device": "firewall.example",
    "action": "block_address",
    "target": {"type": "address", "value": "198.51.100.7"},
    "state": "held",
    "ours": True,
    "created_at": "2026-01-01T12:00:02Z",
    "expires_at": "2026-01-02T12:00:02Z",
    "lifted_at": None,
    "verified_at": "2026-01-01T12:00:02Z",
    "drift": None,
    "approval_id": "apr_1f0c",
    "error": None,
    "failures": 0,
    "retry_at": None,
    "escalated_at": None,
    "leases": [_LEASE],
}


class LeaseView(Frozen):
    """One run's claim on a containment."""

    model_config = ConfigDict(json_schema_extra={"example": _LEASE})

    id: str
    run_id: str
    path: str = Field(description="The step that holds it.")
    playbook: str | None
    version: int | None
    started_by: str | None
    incident_id: str | None
    alert_id: str | None
    alert: str | None = Field(description="The title of the alert that started the run.")
    reason: str | None = Field(description="Why a person contained the target by hand.")
    state: LeaseState
    expires_at: datetime | None = Field(description="Null: until it is released by hand.")
    end_reason: LeaseEndReason | None = Field(description="Why it ended, or ends.")
    ended_by: str | None = Field(description="Who ended it: a person, a run or the system.")
    created_at: datetime
    ended_at: datetime | None


class TargetView(Frozen):
    """What is contained."""

    type: str
    value: str


class ContainmentView(Frozen):
    """A containment: what is in force on which device, who holds it, and until when."""

    model_config = ConfigDict(json_schema_extra={"example": CONTAINMENT_EXAMPLE})

    id: str
    connection: str
    connector: str | None
    device: str | None = Field(description="The host of the connection's URL.")
    action: str
    target: TargetView
    state: ContainmentState
    ours: bool = Field(description="Whether Tocsin changed the device, so that it lifts it too.")
    created_at: datetime
    expires_at: datetime | None = Field(
        description="When the last lease ends. Null: until it is released by hand."
    )
    lifted_at: datetime | None
    verified_at: datetime | None = Field(description="When the device last showed it.")
    drift: DriftState | None = Field(
        description="`gone`: the device does not show it. `reapplying`: it is applied again now."
    )
    approval_id: str | None
    error: str | None
    failures: int = Field(description="How many releases in a row the system refused.")
    retry_at: datetime | None = Field(description="When a stuck release is tried again.")
    escalated_at: datetime | None
    leases: list[LeaseView]


def containment_view(
    row: ContainmentRow,
    effect: EffectRow | None,
    connection: ConnectionRow | None,
    leases: Sequence[LeaseContext],
) -> ContainmentView:
    """Return the view of a containment with its leases."""
    return ContainmentView(
        id=row.key,
        connection=row.connection,
        connector=connection.connector if connection else None,
        device=_host(connection),
        action=row.action,
        target=TargetView(type=row.target_type, value=row.target_value),
        state=row.state,
        ours=row.ours,
        created_at=row.since,
        expires_at=_end([lease for lease, _, _ in leases if lease.state == LeaseState.LIVE]),
        lifted_at=row.lifted_at,
        verified_at=row.verified_at,
        drift=row.drift,
        approval_id=effect.approval_id if effect else None,
        error=row.error,
        failures=row.failures,
        retry_at=row.retry_at if row.state == ContainmentState.STUCK else None,
        escalated_at=row.escalated_at,
        leases=[_lease(*context) for context in leases],
    )


def _end(live: Sequence[LeaseRow]) -> datetime | None:
    """Return when the last lease ends; None while one has no end."""
    ends = [lease.until for lease in live if lease.until is not None]
    return max(ends) if ends and len(ends) == len(live) else None


def _host(connection: ConnectionRow | None) -> str | None:
    """Return the host alone: the path or the query of a URL may contain a secret."""
    url = connection.settings.get("base_url") if connection else None
    return urlsplit(url).netloc.rpartition("@")[2] or None if isinstance(url, str) else None


def _lease(row: LeaseRow, run: RunRow | None, alert_title: str | None) -> LeaseView:
    return LeaseView(
        id=row.id,
        run_id=row.run_id,
        path=row.path,
        playbook=run.playbook if run else None,
        version=run.version if run else None,
        started_by=run.started_by if run else None,
        incident_id=run.incident_id if run else None,
        alert_id=run.alert_id if run else None,
        alert=alert_title,
        reason=_reason(run),
        state=row.state,
        expires_at=row.until,
        end_reason=row.end_reason,
        ended_by=row.ended_by,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _reason(run: RunRow | None) -> str | None:
    if run is None or run.playbook != CONTAIN_BY_HAND:
        return None
    reason = run.inputs.get("reason")
    return reason if isinstance(reason, str) else None
