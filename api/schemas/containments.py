"""How does a containment look?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.schemas.request_model import Written, example

ContainmentState = Literal["held", "lifting", "lifted", "stuck"]
Key = Annotated[str, Field(min_length=1, max_length=400)]
Reason = Annotated[str, Field(max_length=2000, description="Why; kept in the audit trail.")]
_LEASE = "run_019a8c7d21f04b6c1e2f3a4b5c6d/contain/block"


class Lease(BaseModel):
    """One run's hold on a containment: on whose behalf, and because of which alert. `until` null: until it is released by hand."""

    id: str
    run_id: str
    path: str
    playbook: str | None
    version: int | None
    started_by: str | None
    incident_id: str | None
    alert_id: str | None
    alert: str | None
    state: Literal["live", "ended"]
    until: datetime | None
    reason: str | None
    created_at: datetime
    ended_at: datetime | None


class TargetView(BaseModel):
    """What is contained."""

    type: str
    value: str


class Containment(BaseModel):
    """Something contained, by whom, why, on what device, since when and until when (null: until it is released by hand).

    `ours`: whether we changed the device, so that lifting is ours too. `verified_at`: when the device last showed it. `drift`: `gone`
    when the device does not show it any more, `mending` while it is put there again. `stuck`: lifting it did not come off, `failures`
    times; it is tried again at `retry_at`.
    """

    model_config = example(
        {
            "key": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d",
            "connection": "firewall",
            "connector": "palo_alto",
            "device": "firewall.example",
            "action": "block_address",
            "target": {"type": "address", "value": "198.51.100.7"},
            "state": "held",
            "ours": True,
            "since": "2026-01-01T12:00:02Z",
            "until": "2026-01-02T12:00:02Z",
            "lifted_at": None,
            "verified_at": "2026-01-01T12:00:02Z",
            "drift": None,
            "approval_id": "apr_1f0c",
            "error": None,
            "failures": 0,
            "retry_at": None,
            "escalated_at": None,
            "leases": [
                {
                    "id": _LEASE,
                    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
                    "path": "contain/block",
                    "playbook": "c2-beacon-containment",
                    "version": 3,
                    "started_by": "source:edge",
                    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
                    "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
                    "alert": "ET MALWARE Cobalt Strike Beacon",
                    "state": "live",
                    "until": "2026-01-02T12:00:02Z",
                    "reason": None,
                    "created_at": "2026-01-01T12:00:01Z",
                    "ended_at": None,
                }
            ],
        }
    )

    key: str
    connection: str
    connector: str | None
    device: str | None
    action: str
    target: TargetView
    state: ContainmentState
    ours: bool
    since: datetime
    until: datetime | None
    lifted_at: datetime | None
    verified_at: datetime | None
    drift: Literal["gone", "mending"] | None
    approval_id: str | None
    error: str | None
    failures: int
    retry_at: datetime | None
    escalated_at: datetime | None
    leases: list[Lease]


class ReleaseAsked(Written):
    """What is released: all of it, or one lease alone."""

    model_config = ConfigDict(
        **Written.model_config, **example({"reason": "false positive"}, {"lease": _LEASE})
    )

    lease: Key | None = None
    reason: Reason = ""


class IncidentReleaseAsked(Written):
    """Why all that an incident contained is released."""

    model_config = ConfigDict(
        **Written.model_config, **example({"reason": "the host is reinstalled"})
    )

    reason: Reason = ""


class LeaseChange(Written):
    """Another end: `until`, or `for` so long from now. Without `lease`, for all that hold the containment.

    `way`: only those leases that it makes longer (or shorter).
    """

    model_config = ConfigDict(
        **Written.model_config,
        **example(
            {"for": "4h", "way": "extend", "reason": "still being looked at"},
            {"lease": _LEASE, "until": "2126-01-02T12:00:00Z"},
        ),
    )

    lease: Key | None = None
    until: AwareDatetime | None = None
    length: Annotated[str | None, Field(alias="for", max_length=32, examples=["4h"])] = None
    way: Literal["extend", "shorten"] | None = None
    reason: Reason = ""


class Settlement(Written):
    """How it came off. `force`: also when the device still shows it, or cannot be asked; that is audited."""

    model_config = ConfigDict(
        **Written.model_config, **example({"comment": "the firewall was replaced", "force": True})
    )

    comment: Annotated[str, Field(min_length=1, max_length=2000)]
    force: bool = False


class OrphanView(BaseModel):
    """Something on a device that carries our tag, and that is not known to be in force."""

    action: str
    target: str
    tag: str
    note: str


class ConnectionOrphans(BaseModel):
    """What a system shows of ours that we do not know of. `why`: why it cannot say so, where it cannot, or not of all actions."""

    model_config = example(
        {
            "connection": "firewall",
            "connector": "palo_alto",
            "listed": True,
            "why": None,
            "orphans": [
                {
                    "action": "block_address",
                    "target": "198.51.100.9",
                    "tag": "tocsin-0123456789abcdef",
                    "note": "",
                }
            ],
        }
    )

    connection: str
    connector: str
    listed: bool
    why: str | None
    orphans: list[OrphanView]
