"""Messages about a run: what it starts with, its steps, its events and its end."""

from __future__ import annotations

from typing import Any, Self

from pydantic import AwareDatetime

from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode, RunStatus, StepFailure, StepState, WaitingFor
from orchestrator.playbook.plan import Plan


class RunContext(Frozen):
    """The identity of a run, carried by every message about it."""

    run_id: str
    attempt: int
    playbook: str
    version: int
    plan_digest: str
    mode: Mode
    source: str | None
    severity: int
    started_by: str
    incident_id: str | None = None

    @classmethod
    def of_plan(
        cls,
        plan: Plan,
        *,
        run_id: str,
        mode: Mode,
        started_by: str,
        source: str | None = None,
        severity: int = 0,
        incident_id: str | None = None,
        plan_digest: str | None = None,
    ) -> Self:
        """Return the identity of a run that is not in the store, such as a rehearsal.

        `plan_digest`: that of the plan, where it is known already.
        """
        return cls(
            run_id=run_id,
            attempt=1,
            playbook=plan.playbook,
            version=plan.version,
            plan_digest=plan.digest if plan_digest is None else plan_digest,
            mode=mode,
            source=source,
            severity=severity,
            started_by=started_by,
            incident_id=incident_id,
        )


class StepRef(Frozen):
    """A step of a run."""

    run: RunContext
    path: str
    seq: int  # orders the steps of a run by when they began


class RunInput(Frozen):
    """The input of a run. It never changes once the run has started."""

    run: RunContext
    plan: Plan
    alert: dict[str, Any] | None
    inputs: dict[str, Any]
    started_at: AwareDatetime
    carried: dict[str, Any] = {}  # results of steps that an earlier attempt finished, by path
    next_seq: int = 1


class StepRecord(Frozen):
    """A step's state, for display and for the audit trail."""

    ref: StepRef
    kind: str
    state: StepState
    connection: str | None = None
    action: str | None = None
    inputs: dict[str, Any] | None = None
    result: Any = None
    error: str | None = None
    failure: StepFailure | None = None
    asked: dict[str, Any] | None = None  # in a dry run: the approval that a live run would ask for
    waiting_for: WaitingFor | None = None
    began_at: AwareDatetime | None = None  # None: now


class RunEnd(Frozen):
    """How a run ended."""

    run: RunContext
    status: RunStatus
    error: str | None = None


class RunResult(Frozen):
    """What the workflow of a run returns."""

    status: RunStatus
    error: str | None = None
    failed_path: str | None = None  # the step that ended the run
    steps: int = 0


class EventsRequest(Frozen):
    """Which alerts joined the run's incident after `since`."""

    run: RunContext
    since: AwareDatetime


class EventsReply(Frozen):
    """Alert views, oldest first."""

    alerts: tuple[dict[str, Any], ...]
