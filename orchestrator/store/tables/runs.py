"""Tables of runs and their steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from sqlalchemy import JSON, Index, Text
from sqlmodel import Field, SQLModel

from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.run import Mode, RunStatus, StepFailure, StepState, WaitingFor
from orchestrator.store.tables.alerts import AlertRow
from orchestrator.store.tables.columns import UtcDateTime, enum_column, partial

BY_A_PERSON = "started_by LIKE 'person:%'"


class RunRow(SQLModel, table=True):
    """One run of a playbook version."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_playbook", "playbook", "created_at"),
        Index("ix_runs_source", "source", "created_at"),
        Index("ix_runs_status", "status", "created_at"),
        Index("ix_runs_started_by", "started_by", "created_at", **partial(BY_A_PERSON)),
        Index("ix_runs_dry", "created_at", **partial("mode = 'dry_run'")),
        Index("ix_runs_open", "created_at", **partial("ended_at IS NULL")),
    )
    id: str = Field(primary_key=True)
    playbook: str
    version: int
    plan_digest: str
    incident_id: str | None = Field(default=None, index=True)
    alert_id: str | None = Field(default=None, index=True)
    source: str | None = None
    severity: int = 0  # of its alert, or of the most severe one that it covers while it is open
    raised_by: str | None = None  # that alert, if it is not its own
    status: RunStatus = Field(sa_type=enum_column(RunStatus))
    mode: Mode = Field(default=Mode.LIVE, sa_type=enum_column(Mode))
    attempt: int = 1
    once_key: str | None = None
    inputs: dict[str, Any] = Field(sa_type=JSON, default={})
    started_by: str
    # The live run that this dry run accompanies.
    shadow_of: str | None = Field(default=None, index=True)
    # The playbook's `runs_per_hour` that this run exceeds: people are asked before it begins.
    over_limit: int | None = None
    # Who wants it cancelled. It ends once its workflow knows, whatever is lost in between.
    cancel_requested_by: str | None = None
    cancel_requested_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    dispatched: bool = False  # whether Temporal has this attempt
    # Temporal's run id of the workflow that began this attempt. No other acts for it.
    execution: str | None = None
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    # Where its trace is (W3C `traceparent`); None where none is exported.
    trace: str | None = None
    # When a deferred run began. Any other begins when it is created.
    begun_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)

    @classmethod
    def begin(
        cls,
        *,
        id: str,  # noqa: A002 - the column's name
        playbook: str,
        version: int,
        plan_digest: str,
        alert: AlertRow | None,
        started_by: str,
        now: datetime,
        mode: Mode = Mode.LIVE,
        inputs: dict[str, Any] | None = None,
        once_key: str | None = None,
        over_limit: int | None = None,
        trace: str | None = None,
    ) -> Self:
        """Return the row of a new run, which Temporal does not have yet."""
        return cls(
            id=id,
            playbook=playbook,
            version=version,
            plan_digest=plan_digest,
            incident_id=alert.incident_id if alert else None,
            alert_id=alert.id if alert else None,
            source=alert.source if alert else None,
            severity=alert.severity if alert else 0,
            status=RunStatus.RUNNING,
            mode=mode,
            once_key=once_key,
            inputs=inputs or {},
            started_by=started_by,
            over_limit=over_limit,
            created_at=now,
            trace=trace or (alert.trace if alert else None),
        )

    def cancel(self, error: str, now: datetime) -> None:
        """End a run that never began."""
        self.status = RunStatus.CANCELLED
        self.error = error
        self.ended_at = now

    def defer(self, reason: str) -> None:
        """Leave the run until its source has a place for it."""
        self.status = RunStatus.DEFERRED
        self.error = reason

    def begin_deferred(self, now: datetime) -> None:
        """Begin a run that was deferred."""
        self.status = RunStatus.RUNNING
        self.error = None
        self.begun_at = now

    def raise_severity(self, alert: AlertRow) -> None:
        """Take over the severity of an alert that this run covers."""
        self.severity = alert.severity
        self.raised_by = alert.id

    def request_cancel(self, actor: str, now: datetime) -> None:
        """Record that a person wants the run to end. The first one counts."""
        if self.cancel_requested_by is None:
            self.cancel_requested_by = actor
            self.cancel_requested_at = now

    def fail(self, error: str, now: datetime) -> None:
        """End a run that cannot continue."""
        self.status = RunStatus.FAILED
        self.error = error
        self.ended_at = now

    def begin_next_attempt(self) -> None:
        """Reopen an ended run as its next attempt, which Temporal does not have yet."""
        self.status = RunStatus.RUNNING
        self.attempt += 1
        self.dispatched = False
        self.execution = None
        self.error = None
        self.ended_at = None

    def retry(self) -> None:
        """Reopen an ended run because a person wants that, even if it was cancelled."""
        self.begin_next_attempt()
        self.cancel_requested_by = None
        self.cancel_requested_at = None


class RunKeyRow(SQLModel, table=True):
    """The newest run for a playbook and a `once_per` key."""

    __tablename__ = "run_keys"
    playbook: str = Field(primary_key=True)
    once_key: str = Field(primary_key=True)
    run_id: str = Field(index=True)
    at: datetime = Field(sa_type=UtcDateTime)


class StepRow(SQLModel, table=True):
    """One step of a run; its path is unique in the run: `contain/block`, `each[3]/block`."""

    __tablename__ = "steps"
    run_id: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    kind: str
    state: StepState = Field(sa_type=enum_column(StepState))
    seq: int
    attempt: int = 1  # of the run, in which the step began
    connection: str | None = None
    action: str | None = None
    inputs: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    # Of connection, action and input, so that a backtest finds the same read again.
    inputs_digest: str | None = Field(default=None, index=True)
    planned_change: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    # About the planned change: effect, digest, hold_seconds.
    planned: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    verdict: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    # Who is asked, or in a dry run would be: question, by, quorum, reasons.
    asked: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    result: Any = Field(sa_type=JSON, default=None)
    error: str | None = Field(default=None, sa_type=Text)
    failure: StepFailure | None = Field(default=None, sa_type=enum_column(StepFailure))
    # What it waits for and until when, see `domain/run.py`.
    waiting_for: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    def wait_for(self, waiting_for: WaitingFor) -> None:
        """Record what the step waits for. A step past its intent keeps its state."""
        self.waiting_for = waiting_for.model_dump(mode="json")
        if self.state in {StepState.RUNNING, StepState.PLANNED}:
            self.state = StepState.WAITING

    def resume(self) -> None:
        """Record that the step goes on."""
        self.waiting_for = None
        if self.state is StepState.WAITING:
            self.state = StepState.RUNNING

    def end_approval(self, state: ApprovalState, at: datetime) -> None:
        """Record the end of an approval that is shown as a step."""
        self.waiting_for = None
        self.state = StepState.DONE if state is ApprovalState.APPROVED else StepState.DECLINED
        self.ended_at = at

    def release(self, now: datetime) -> None:
        """Record that its lease ended and its change is no longer in force."""
        self.state = StepState.RELEASED
        self.ended_at = now
        self.waiting_for = None

    def undo(self, now: datetime) -> None:
        """Record that its change was undone."""
        self.state = StepState.UNDONE
        self.ended_at = now
        self.waiting_for = None
