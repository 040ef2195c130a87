"""How does a run look, and what does it take to start one?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.request_model import Name, Version, Written, example
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.run import Mode, RunStatus, StepState

_RUN = {
    "id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "status": "completed",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "playbook_digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "mode": "live",
    "shadow_of": None,
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
    "planned_change": {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag 198.51.100.7 as blocked",
    },
    "verdict": {"outcome": "allow", "reasons": [], "policy_version": 1, "policy_digest": "ab12"},
    "result": None,
    "error": None,
    "started_at": "2026-01-01T12:00:01Z",
    "ended_at": "2026-01-01T12:00:02Z",
}

_WOULD = {
    "path": "contain/block",
    "connection": "firewall",
    "action": "block_address",
    "target": {"type": "address", "value": "198.51.100.7"},
    "effect": "contain",
    "summary": "Tag 198.51.100.7 as blocked",
    "changed": True,
    "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "verdict": {
        "outcome": "ask",
        "reasons": ["contain of address:198.51.100.7: rules[2] wants people"],
        "rule": "rules[2]",
    },
    "asked": {
        "source": "step",
        "question": "Block 198.51.100.7?",
        "by": "soc-leads",
        "quorum": 1,
        "within": 900,
        "otherwise": "stop",
        "reasons": [],
    },
    "hold_seconds": 86400,
}


class Step(BaseModel):
    """A step of a run. `id` is its path; `inputs`, `planned_change` and `result` have their secrets masked."""

    model_config = example(_STEP)

    id: str
    kind: str
    state: StepState
    connection: str | None
    action: str | None
    inputs: dict[str, Any] | None
    planned_change: dict[str, Any] | None
    verdict: dict[str, Any] | None
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
    shadow_of: str | None
    attempt: int
    incident_id: str | None
    alert_id: str | None
    severity: int
    inputs: dict[str, Any]
    started_by: str
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class Opinion(BaseModel):
    """What the policy says of a change. `rule`: the one that decided."""

    verdict: Verdict
    reasons: list[str]
    rule: str | None


class WouldAsk(BaseModel):
    """Who would be asked, and who wants that: the step, the group around it, the policy, or the form itself."""

    source: Literal["step", "group", "policy", "form"]
    question: str
    by: str | None
    quorum: int
    within: int
    otherwise: str
    reasons: list[str]


class WouldBe(BaseModel):
    """A planned_change that would have been applied, or a form (then without action) that people would have been asked to fill.

    `changed: false`: it is as wished already. `asked`: null where nobody would be. `hold_seconds`: null for no end.
    """

    model_config = example(_WOULD)

    path: str
    connection: str | None
    action: str | None
    target: dict[str, Any] | None
    effect: Effect | None
    summary: str | None
    changed: bool
    digest: str | None
    verdict: Opinion | None
    asked: WouldAsk | None
    hold_seconds: int | None


class RunWithSteps(Run):
    """A run with its steps, in the order in which they began. `would`: of a dry run, what it would have done."""

    model_config = example(
        {**_RUN, "steps": [_STEP], "would": []},
        {**_RUN, "mode": "dry_run", "steps": [], "would": [_WOULD]},
    )

    steps: list[Step]
    would: list[WouldBe]


class StartRun(Written):
    """Start a playbook by hand, on an alert or on inputs."""

    model_config = example(
        {
            "playbook": "c2-beacon-containment",
            "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
            "mode": "dry_run",
        },
        {"playbook": "block-address", "version": 2, "inputs": {"address": "198.51.100.7"}},
    )

    playbook: Name
    version: Annotated[
        Version | None, Field(description="Null: the newest that is not retired.")
    ] = None
    inputs: dict[str, Any] = {}
    alert_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    mode: Annotated[Mode, Field(description="`dry_run` plans and judges, and changes nothing.")] = (
        Mode.LIVE
    )
