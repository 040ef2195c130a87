"""Request bodies about containments, incidents' containments and tasks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from api.schemas.request_model import RequestModel, example
from orchestrator.domain.observable import Target
from orchestrator.domain.run import Mode

Lease = Annotated[str, Field(min_length=1, max_length=400, description="The id of a lease.")]
Reason = Annotated[str, Field(max_length=2000, description="Recorded in the audit trail.")]
Comment = Annotated[str, Field(min_length=1, max_length=2000)]
_LEASE = "run_019a8c7d21f04b6c1e2f3a4b5c6d/contain/block"


class ContainTarget(RequestModel):
    """A target to contain by hand, for how long and why."""

    model_config = example(
        {
            "target": {"type": "address", "value": "203.0.113.5"},
            "for": "4h",
            "reason": "scans our mail server",
        },
        {
            "target": {"type": "host", "value": "ws-042"},
            "connection": "edr",
            "reason": "ransom note on the screen",
            "mode": "dry_run",
        },
    )

    target: Target
    length: Annotated[
        str | None,
        Field(
            alias="for",
            max_length=32,
            description="Null: until it is released by hand.",
            examples=["4h"],
        ),
    ] = None
    reason: Annotated[
        str, Field(min_length=1, max_length=2000, description="Recorded in the audit trail.")
    ]
    connection: Annotated[
        str | None, Field(max_length=64, description="Where several contain this type of target.")
    ] = None
    action: Annotated[
        str | None, Field(max_length=64, description="Where several contain this type of target.")
    ] = None
    mode: Annotated[
        Mode, Field(description="`dry_run` plans and evaluates the change, and applies nothing.")
    ] = Mode.LIVE


class ReleaseContainment(RequestModel):
    """Which leases to end: all of them, or one."""

    model_config = example({"reason": "false positive"}, {"lease": _LEASE})

    lease: Lease | None = None
    reason: Reason = ""


class ReleaseIncident(RequestModel):
    """Why everything that an incident contained is released."""

    model_config = example({"reason": "the host is reinstalled"})

    reason: Reason = ""


class ChangeLease(RequestModel):
    """Another end for one lease, or for all: `expires_at` a time, or `for` a duration from now."""

    model_config = example(
        {"for": "4h", "way": "extend", "reason": "still under investigation"},
        {"lease": _LEASE, "expires_at": "2126-01-02T12:00:00Z"},
    )

    lease: Lease | None = None
    expires_at: AwareDatetime | None = None
    length: Annotated[str | None, Field(alias="for", max_length=32, examples=["4h"])] = None
    way: Annotated[
        Literal["extend", "shorten"] | None,
        Field(description="Change only the leases that this extends (or shortens)."),
    ] = None
    reason: Reason = ""


class ResolveContainment(RequestModel):
    """How a containment was lifted by hand."""

    model_config = example({"comment": "the firewall was replaced", "force": True})

    comment: Comment
    force: Annotated[
        bool,
        Field(
            description="Also when the device still shows it, or cannot be asked; this is audited."
        ),
    ] = False


class CloseTask(RequestModel):
    """What was done about a task."""

    model_config = example({"comment": "the block was put back by hand"})

    comment: Comment
