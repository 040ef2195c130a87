"""Runs, their steps, and what a dry run would have done, as the API returns them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import WAITING_FOR, Mode, RunStatus, StepState, WaitingFor
from orchestrator.store.tables import RunRow, StepRow

RUN_EXAMPLE: dict[str, Any] = {
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
    "raised_by": None,
    "inputs": {},
    "started_by": "source:suricata",
    "error": None,
    "cancel_requested_by": None,
    "created_at": "2026-01-01T12:00:00Z",
    "ended_at": "2026-01-01T12:00:02Z",
}
_STEP: dict[str, Any] = {
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
    "attempt": 1,
    "waiting_for": None,
    "started_at": "2026-01-01T12:00:01Z",
    "ended_at": "2026-01-01T12:00:02Z",
}
_DRY_RUN_CHANGE: dict[str, Any] = {
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
        "reasons": ["contain of address:198.51.100.7: rules[2] asks for approval"],
        "rule": "rules[2]",
    },
    "asked": {
        "source": "step",
        "question": "Block 198.51.100.7?",
        "by": "soc-leads",
        "quorum": 1,
        "within": 900,
        "otherwise": "stop",
        "condition": "always",
        "reasons": [],
    },
    "hold_seconds": 86400,
}


class StepView(Frozen):
    """A step of a run, with its secrets masked."""

    model_config = ConfigDict(json_schema_extra={"example": _STEP})

    id: str = Field(description="The path of the step, unique in the run.")
    kind: str
    state: StepState
    connection: str | None
    action: str | None
    inputs: dict[str, Any] | None
    planned_change: dict[str, Any] | None
    verdict: dict[str, Any] | None
    result: Any
    error: str | None
    attempt: int = Field(description="The attempt of the run in which the step began.")
    waiting_for: WaitingFor | None = Field(
        description="What the step, or its undo, waits for, and until when; null while it does "
        "not wait."
    )
    started_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: StepRow) -> StepView:
        """Return the view of a row."""
        waits = row.waiting_for is not None and row.state.can_wait
        return cls(
            id=row.path,
            kind=row.kind,
            state=row.state,
            connection=row.connection,
            action=row.action,
            inputs=mask_secrets(row.inputs),
            planned_change=mask_secrets(row.planned_change),
            verdict=row.verdict,
            result=mask_secrets(row.result),
            error=row.error,
            attempt=row.attempt,
            waiting_for=WAITING_FOR.validate_python(row.waiting_for) if waits else None,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )


class RunView(Frozen):
    """A run, without its steps."""

    model_config = ConfigDict(json_schema_extra={"example": RUN_EXAMPLE})

    id: str
    status: RunStatus
    playbook: str
    version: int
    playbook_digest: str
    mode: Mode
    shadow_of: str | None = Field(description="The live run that this dry run accompanies.")
    attempt: int
    incident_id: str | None
    alert_id: str | None
    severity: int = Field(
        description="Of its alert, or of the most severe alert that joined it while it was open."
    )
    raised_by: str | None = Field(description="That alert; null: its own is the most severe.")
    inputs: dict[str, Any]
    started_by: str
    error: str | None
    cancel_requested_by: str | None = Field(description="Who wants the run to end, if anyone.")
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: RunRow) -> RunView:
        """Return the view of a row."""
        return RunView(**_columns(row))


class VerdictView(Frozen):
    """What the policy says of a change."""

    outcome: Verdict
    reasons: list[str]
    rule: str | None = Field(description="The rule that decided.")


class DryRunQuestion(Frozen):
    """The question that people would be asked."""

    source: Literal["step", "group", "policy", "form"] = Field(description="Who wants it asked.")
    question: str
    by: str | None
    quorum: int
    within: int = Field(description="Seconds.")
    otherwise: str
    condition: str | None = Field(
        description="When the playbook asks, in its own words; null: it does not."
    )
    reasons: list[str]


class DryRunChange(Frozen):
    """A change that a dry run would have applied, or a form (without an action) to fill in."""

    model_config = ConfigDict(json_schema_extra={"example": _DRY_RUN_CHANGE})

    path: str
    connection: str | None
    action: str | None
    target: dict[str, Any] | None
    effect: Effect | None
    summary: str | None
    changed: bool = Field(description="False: the target already is in the desired state.")
    digest: str | None
    verdict: VerdictView | None
    asked: DryRunQuestion | None = Field(description="Null where no one would be asked.")
    hold_seconds: int | None = Field(description="Null: without an end.")


class RunDetails(RunView):
    """A run with its steps, in the order in which they began."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**RUN_EXAMPLE, "steps": [_STEP], "dry_run_changes": []},
                {
                    **RUN_EXAMPLE,
                    "mode": "dry_run",
                    "steps": [],
                    "dry_run_changes": [_DRY_RUN_CHANGE],
                },
            ]
        }
    )

    steps: list[StepView]
    dry_run_changes: list[DryRunChange] = Field(
        description="What a dry run would have done; empty for a live run."
    )


def run_details(run: RunRow, steps: Iterable[StepRow]) -> RunDetails:
    """Return the view of a run with its steps."""
    rows = list(steps)
    return RunDetails(
        **_columns(run),
        steps=[StepView.of(row) for row in rows],
        dry_run_changes=dry_run_changes(run, rows),
    )


def dry_run_changes(run: RunRow, steps: Iterable[StepRow]) -> list[DryRunChange]:
    """Return what a dry run would have done, in the order of its steps; empty for a live run."""
    if run.mode != Mode.DRY_RUN:
        return []
    return [
        _dry_run_change(row)
        for row in steps
        if is_planned(row) or (row.kind == "ask" and row.asked is not None)
    ]


def is_planned(row: StepRow) -> bool:
    """Return whether a change was planned for the step, and planning did not fail."""
    return (
        row.planned_change is not None and row.planned is not None and row.state != StepState.FAILED
    )


def _dry_run_change(row: StepRow) -> DryRunChange:
    planned_change, planned, verdict = row.planned_change or {}, row.planned or {}, row.verdict
    changed = bool(planned_change.get("changed"))
    # No approval is needed when nothing would change.
    asked = row.asked if changed or row.kind == "ask" else None
    return DryRunChange(
        path=row.path,
        connection=row.connection,
        action=row.action,
        target=planned_change.get("target"),
        effect=planned.get("effect"),
        summary=mask_secrets(planned_change.get("summary")),
        changed=changed,
        digest=planned.get("digest"),
        verdict=VerdictView(**{name: verdict.get(name) for name in VerdictView.model_fields})
        if verdict
        else None,
        asked=DryRunQuestion.model_validate(mask_secrets(asked)) if asked else None,
        hold_seconds=planned.get("hold_seconds"),
    )


def _columns(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "playbook": row.playbook,
        "version": row.version,
        "playbook_digest": row.plan_digest,
        "mode": row.mode,
        "shadow_of": row.shadow_of,
        "attempt": row.attempt,
        "incident_id": row.incident_id,
        "alert_id": row.alert_id,
        "severity": row.severity,
        "raised_by": row.raised_by,
        "inputs": mask_secrets(row.inputs),
        "started_by": row.started_by,
        "error": row.error,
        "cancel_requested_by": row.cancel_requested_by,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
    }
