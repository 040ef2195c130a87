"""How does a run look, and what does it take to start one?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.schemas.written import Name, Version, Written, example
from orchestrator.domain.run import Mode, RunStatus, StepState

_RUN = {
    "id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "status": "completed",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "playbook_digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "mode": "live",
    "attempt": 1,
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
    "severity": 5,
    "inputs": {},
    "started_by": "source:suricata",
    "error": None,
    "created_at": "2026-01-01T12:00:00Z",
    "ended_at": "2026-01-01T12:00:02Z",
}
_STEP = {
    "id": "contain/block",
    "kind": "use",
    "state": "verified",
    "connection": "firewall",
    "action": "block_address",
    "inputs": {"address": "198.51.100.7"},
    "receipt": {"target": {"type": "address", "value": "198.51.100.7"}, "changed": True, "summary": "Tag 198.51.100.7 as blocked"},
    "judgement": {"verdict": "allow", "reasons": [], "policy_version": 1, "policy_digest": "ab12"},
    "result": None,
    "error": None,
    "started_at": "2026-01-01T12:00:01Z",
    "ended_at": "2026-01-01T12:00:02Z",
}


class Step(BaseModel):
    """A step of a run. `id` is its path; `inputs`, `receipt` and `result` have their secrets masked."""

    model_config = example(_STEP)

    id: str
    kind: str
    state: StepState
    connection: str | None
    action: str | None
    inputs: dict[str, Any] | None
    receipt: dict[str, Any] | None
    judgement: dict[str, Any] | None
    result: Any
    error: str | None
    started_at: datetime
    ended_at: datetime | None


class Run(BaseModel):
    """A run, without its steps."""

    model_config = example(_RUN)

    id: str
    status: RunStatus
    playbook: str
    version: int
    playbook_digest: str
    mode: Mode
    attempt: int
    incident_id: str | None
    alert_id: str | None
    severity: int
    inputs: dict[str, Any]
    started_by: str
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class RunWithSteps(Run):
    """A run with its steps, in the order in which they began."""

    model_config = example({**_RUN, "steps": [_STEP]})

    steps: list[Step]


class StartRun(Written):
    """Start a playbook by hand, on an alert or on inputs."""

    model_config = example(
        {"playbook": "c2-beacon-containment", "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d", "mode": "dry_run"},
        {"playbook": "block-address", "version": 2, "inputs": {"address": "198.51.100.7"}},
    )

    playbook: Name
    version: Annotated[Version | None, Field(description="Null: the newest that is not retired.")] = None
    inputs: dict[str, Any] = {}
    alert_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    mode: Annotated[Mode, Field(description="`dry_run` plans and judges, and changes nothing.")] = Mode.LIVE
