"""Alerts, incidents and tasks as the API returns them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.domain.incident import IncidentStatus, TaskKind, TaskState
from orchestrator.domain.model import Frozen
from orchestrator.store.tables import AlertRow, IncidentRow, TaskRow

_ALERT: dict[str, Any] = {
    "id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
    "source": "suricata",
    "product": "suricata",
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "title": "ET MALWARE Cobalt Strike Beacon",
    "severity": 5,
    "class": "c2_beacon",
    "raw_sha256": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "seen": 1,
    "created_at": "2026-01-01T12:00:00Z",
    "last_seen_at": "2026-01-01T12:00:00Z",
}


class AlertView(Frozen):
    """An alert, without its observables."""

    model_config = ConfigDict(json_schema_extra={"example": _ALERT})

    id: str
    source: str
    product: str
    incident_id: str
    title: str
    severity: int = Field(description="OCSF severity_id, 0 to 6.")
    alert_class: str = Field(serialization_alias="class")
    raw_sha256: str
    seen: int = Field(description="How many times it was sent.")
    created_at: datetime
    last_seen_at: datetime

    @classmethod
    def of(cls, row: AlertRow) -> AlertView:
        """Return the summary of a row."""
        return AlertView(**_columns(row))


class AlertDetails(AlertView):
    """An alert with its normal form, as playbooks read it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                **_ALERT,
                "alert": {"class": "c2_beacon", "remote": {"address": "198.51.100.7"}},
            }
        }
    )

    alert: dict[str, Any]

    @classmethod
    def of(cls, row: AlertRow) -> AlertDetails:
        """Return the details of a row."""
        return AlertDetails(**_columns(row), alert=row.view)


class IncidentView(Frozen):
    """Alerts that belong together."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
                "title": "ET MALWARE Cobalt Strike Beacon",
                "severity": 5,
                "status": "open",
                "alerts": 2,
                "incomplete": 0,
                "created_at": "2026-01-01T12:00:00Z",
                "last_alert_at": "2026-01-01T12:10:00Z",
            }
        }
    )

    id: str
    title: str
    severity: int
    status: IncidentStatus
    alerts: int = Field(description="How many alerts belong to it.")
    incomplete: int = Field(
        description="How many of its alerts leave something of their payload out; each says what "
        "in `alert.incomplete`."
    )
    created_at: datetime
    last_alert_at: datetime

    @classmethod
    def of(cls, row: IncidentRow) -> IncidentView:
        """Return the view of a row."""
        return cls(
            **row.model_dump(exclude={"correlation_key", "opened_at"}), created_at=row.opened_at
        )


class TaskView(Frozen):
    """Something that needs a person: a stuck release, drift, a tripped breaker, a review."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "task_019a8c7d21f04b6c1e2f3a4b5c6d",
                "kind": "stuck_release",
                "subject": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d",
                "summary": "block_address of address 198.51.100.7 on firewall cannot be undone: "
                "the credential is not valid",
                "to_group": "soc-leads",
                "state": "open",
                "created_at": "2026-01-01T12:00:02Z",
                "closed_at": None,
                "closed_by": None,
                "comment": "",
            }
        }
    )

    id: str
    kind: TaskKind
    subject: str = Field(description="What it is about, such as a containment's key.")
    summary: str
    to_group: str | None
    state: TaskState
    created_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    comment: str

    @classmethod
    def of(cls, row: TaskRow) -> TaskView:
        """Return the view of a row."""
        return cls(**row.model_dump(exclude={"opened_at"}), created_at=row.opened_at)


def _columns(row: AlertRow) -> dict[str, Any]:
    # Named one by one: reading a deferred column of a listed row is an error.
    names = AlertView.model_fields.keys() - {"created_at"}
    return {name: getattr(row, name) for name in names} | {"created_at": row.received_at}
