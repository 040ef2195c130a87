"""What do the engine's activities do in a rehearsal? They act on the stage of the case that they are about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client

from orchestrator.authoring.rehearsal.state import Stage
from orchestrator.contracts.messages import (
    ActionCall,
    Activity,
    AnswerReply,
    ApplyReply,
    ApplyRequest,
    AskReply,
    AskRequest,
    BeginReply,
    Decision,
    DueReply,
    EventsReply,
    EventsRequest,
    HoldInput,
    HoldRequest,
    PlanReply,
    PlanRequest,
    ReadReply,
    RunContext,
    RunEnd,
    StepRecord,
    Undoable,
    UndoReply,
    UndoRequest,
    VerifyReply,
    VerifyRequest,
    Workflow,
)
from orchestrator.engine.temporal.errors import told_to_workflow

QUEUE = "rehearsal"
_TIME_IS_UP = "its time is up"


@dataclass(slots=True)
class Acts:
    """The activities of the engine's contracts, each on the stage of the run that it is about."""

    client: Client
    clock: Callable[[], Awaitable[datetime]]  # the server's
    stages: dict[str, Stage] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    after: dict[str, timedelta] = field(
        default_factory=dict
    )  # by run: how long its leases are watched after its end
    ends: dict[str, datetime] = field(
        default_factory=dict
    )  # by run that is over: later than that no lease of it ends

    def all(self) -> list[Callable[..., Any]]:
        return [
            self.read, self.plan, self.apply, self.verify, self.undo, self.to_undo, self.hold, self.due, self.check,
            self.ask, self.read_answer, self.close_approval, self.record, self.begin, self.end, self.events,
        ]  # fmt: skip

    @activity.defn(name=Activity.READ)
    async def read(self, call: ActionCall) -> ReadReply:
        """The stub's output."""
        with told_to_workflow():
            return ReadReply(output=self._of(call).read(call))

    @activity.defn(name=Activity.PLAN)
    async def plan(self, request: PlanRequest) -> PlanReply:
        """Something to change, unless the stub says that there is nothing."""
        with told_to_workflow():
            return self._of(request.call).plan(request.call, _now())

    @activity.defn(name=Activity.APPLY)
    async def apply(self, request: ApplyRequest) -> ApplyReply:
        """Recorded as applied, unless the stub fails."""
        with told_to_workflow():
            return self._of(request.call).apply(request.call, request.change, _now())

    @activity.defn(name=Activity.VERIFY)
    async def verify(self, request: VerifyRequest) -> VerifyReply:
        """A stub does what it says, unless it only accepts."""
        return VerifyReply(verified=self._of(request.call).verify(request.call))

    @activity.defn(name=Activity.UNDO)
    async def undo(self, request: UndoRequest) -> UndoReply:
        """Takes back what the run applied there; at the end of its lease it is released."""
        stage = self.stages[request.run_id]
        if request.reason == _TIME_IS_UP:
            stage.release(request.path)
            return UndoReply(outcome="undone")
        return stage.undo(request.path)

    @activity.defn(name=Activity.TO_UNDO)
    async def to_undo(self, run: RunContext) -> list[Undoable]:
        """Newest first."""
        return self.stages[run.run_id].to_undo()

    @activity.defn(name=Activity.HOLD)
    async def hold(self, request: HoldRequest) -> None:
        """Starts the clock of a lease, and the workflow that watches it."""
        run_id = request.ref.run.run_id
        self.stages[run_id].hold(request.ref, request.seconds, _now())
        if request.seconds is not None:
            key = lease_key(run_id, request.ref.path)
            await self.client.start_workflow(
                Workflow.HOLD,
                HoldInput(containment_key=key),
                id=f"hold {key}",
                task_queue=QUEUE,
                start_signal="changed",
            )

    @activity.defn(name=Activity.DUE)
    async def due(self, hold: HoldInput) -> DueReply:
        """Whether the lease of a step is over."""
        run_id, _, path = hold.containment_key.partition(" ")
        lease = self.stages[run_id].leases.get(path)
        if (
            lease is None
            or lease.released
            or lease.until is None
            or lease.until > self.ends.get(run_id, lease.until)
        ):
            return DueReply()
        if lease.until <= _now():
            return DueReply(
                ended=(UndoRequest(run_id=run_id, path=path, reason=_TIME_IS_UP, actor="system"),),
                live=1,
            )
        return DueReply(wake_at=lease.until, live=1)

    @activity.defn(name=Activity.CHECK)
    async def check(self, _: str) -> None:
        """Nothing drifts in a rehearsal."""

    @activity.defn(name=Activity.ASK)
    async def ask(self, request: AskRequest) -> AskReply:
        """Puts the case's next question; its answer reaches the workflow before this ends, so that no time is skipped over it."""
        stage = self.stages[request.ref.run.run_id]
        form = request.form if request.kind == "form" else None
        decision = stage.ask(
            request.ref.path, request.question, request.changes, form, escalated=request.escalated
        )
        self.decisions[decision.approval_id] = decision
        if decision.state != "expired":
            handle = self.client.get_workflow_handle(activity.info().workflow_id or "")
            await handle.execute_update("decide", decision, id=decision.approval_id)
        expires = _now() + timedelta(seconds=request.within)
        return AskReply(approval_id=decision.approval_id, digest="", expires_at=expires)

    @activity.defn(name=Activity.READ_ANSWER)
    async def read_answer(self, approval_id: str) -> AnswerReply:
        """The case's."""
        return AnswerReply(decision=self.decisions.get(approval_id))

    @activity.defn(name=Activity.CLOSE_APPROVAL)
    async def close_approval(self, approval_id: str) -> Decision:
        """Nobody has answered."""
        return self.decisions[approval_id]

    @activity.defn(name=Activity.RECORD)
    async def record(self, records: list[StepRecord]) -> None:
        """Where steps stand."""
        for each in records:
            self.stages[each.ref.run.run_id].note(
                each.ref.path, each.state, each.result, each.error
            )

    @activity.defn(name=Activity.BEGIN)
    async def begin(self, run: RunContext) -> BeginReply:
        """Every rehearsal may begin; its own time starts now."""
        self.stages[run.run_id].began = await self.clock()
        return BeginReply()

    @activity.defn(name=Activity.END)
    async def end(self, end: RunEnd) -> None:
        """From now on its leases are watched for so long as the case says: told inside of the run, while no time is skipped."""
        run_id = end.run.run_id
        self.ends[run_id] = await self.clock() + self.after.get(run_id, timedelta())

    @activity.defn(name=Activity.EVENTS)
    async def events(self, request: EventsRequest) -> EventsReply:
        """The case's further alerts, each when its time has come."""
        return EventsReply(alerts=self.stages[request.run.run_id].events(await self.clock()))

    def _of(self, call: ActionCall) -> Stage:
        return self.stages[call.ref.run.run_id]


def lease_key(run_id: str, path: str) -> str:
    """How a step's lease is called; in a rehearsal no two steps share one."""
    return f"{run_id} {path}"


def _now() -> datetime:
    """The server's time at which this try was scheduled; this machine's clock knows nothing of skipped time."""
    return activity.info().current_attempt_scheduled_time
