"""The engine's activities in rehearsals: each acts on the state of the run that it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client

from orchestrator.authoring.rehearsal.state import RehearsalState
from orchestrator.contracts.approval import (
    AskReply,
    AskRequest,
    BeginReply,
    Decision,
    DecisionReply,
    Question,
)
from orchestrator.contracts.change import (
    ApplyReply,
    ApplyRequest,
    PlanReply,
    PlanRequest,
    ReadReply,
    StepCall,
    UndoableStep,
    UndoReply,
    UndoRequest,
    VerifyReply,
    VerifyRequest,
)
from orchestrator.contracts.containment import HoldRequest
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import EventsReply, EventsRequest, RunContext, RunEnd, StepRecord
from orchestrator.domain.run import RunStatus
from orchestrator.engine.temporal.errors import translate_errors

QUEUE = "rehearsal"


@dataclass(slots=True)
class FakeActivities:
    """All activities that the engine's workflows call."""

    client: Client
    clock: Callable[[], Awaitable[datetime]]  # the server's
    states: dict[str, RehearsalState] = field(default_factory=dict)  # by run, as all below
    decisions: dict[str, Decision] = field(default_factory=dict)
    # How long leases are watched after the end of their run.
    after: dict[str, timedelta] = field(default_factory=dict)
    # The end of that time, for runs that are over.
    ends: dict[str, datetime] = field(default_factory=dict)

    def all(self) -> list[Callable[..., Any]]:
        """Return the activities, for a worker."""
        return [
            self.read,
            self.plan,
            self.apply,
            self.verify,
            self.undo,
            self.list_undoable,
            self.hold,
            self.ask,
            self.read_decision,
            self.close_approval,
            self.record,
            self.begin,
            self.end,
            self.list_events,
        ]

    @activity.defn(name=Activity.READ)
    async def read(self, call: StepCall) -> ReadReply:
        """Return the stub's output."""
        with translate_errors():
            return ReadReply(output=(await self._state(call.ref.run.run_id)).read(call))

    @activity.defn(name=Activity.PLAN)
    async def plan(self, request: PlanRequest) -> PlanReply:
        """Plan a change, or none when the stub says so."""
        with translate_errors():
            state = await self._state(request.call.ref.run.run_id)
            return state.plan(request.call, _now())

    @activity.defn(name=Activity.APPLY)
    async def apply(self, request: ApplyRequest) -> ApplyReply:
        """Record a change as applied, unless the stub fails."""
        with translate_errors():
            state = await self._state(request.call.ref.run.run_id)
            return state.apply(request.call, request.change, _now())

    @activity.defn(name=Activity.VERIFY)
    async def verify(self, request: VerifyRequest) -> VerifyReply:
        """Return whether the stub did what it said."""
        state = await self._state(request.call.ref.run.run_id)
        return VerifyReply(verified=state.verify(request.call))

    @activity.defn(name=Activity.UNDO)
    async def undo(self, request: UndoRequest) -> UndoReply:
        """Undo what the run applied in a step."""
        return (await self._state(request.run_id)).undo(request.path)

    @activity.defn(name=Activity.LIST_UNDOABLE)
    async def list_undoable(self, run: RunContext) -> list[UndoableStep]:
        """Return the steps that can be undone, newest first."""
        return (await self._state(run.run_id)).undoable_steps()

    @activity.defn(name=Activity.HOLD)
    async def hold(self, request: HoldRequest) -> None:
        """Start a lease."""
        state = await self._state(request.ref.run.run_id)
        state.hold(request.ref, request.seconds, await self.clock())

    @activity.defn(name=Activity.ASK)
    async def ask(self, request: AskRequest) -> AskReply:
        """Put the next question to the case.

        The answer reaches the workflow before this activity ends, so that no time is skipped.
        """
        state = self.states[request.ref.run.run_id]
        form = request.form if request.kind == "form" else None
        question = Question(
            text=request.question, escalated=request.escalated, by_policy=request.by_policy
        )
        planned = [each.change for each in request.changes]
        decision = state.ask(request.ref.path, question, planned, form)
        self.decisions[decision.approval_id] = decision
        if decision.state != "expired":
            handle = self.client.get_workflow_handle(activity.info().workflow_id or "")
            await handle.execute_update("decide", decision, id=decision.approval_id)
        expires = _now() + timedelta(seconds=request.within)
        return AskReply(approval_id=decision.approval_id, digest="", expires_at=expires)

    @activity.defn(name=Activity.READ_DECISION)
    async def read_decision(self, approval_id: str) -> DecisionReply:
        """Return the answer of the case."""
        return DecisionReply(decision=self.decisions.get(approval_id))

    @activity.defn(name=Activity.CLOSE_APPROVAL)
    async def close_approval(self, approval_id: str) -> Decision:
        """Return the decision of an approval that ended without an answer."""
        return self.decisions[approval_id]

    @activity.defn(name=Activity.RECORD)
    async def record(self, records: list[StepRecord]) -> None:
        """Record the states of steps."""
        for each in records:
            state = self.states[each.ref.run.run_id]
            state.note(each.ref.path, each.state, each.result, each.error)

    @activity.defn(name=Activity.BEGIN)
    async def begin(self, run: RunContext) -> BeginReply:
        """Start the run's own time; every rehearsal may begin."""
        self.states[run.run_id].began = await self.clock()
        return BeginReply()

    @activity.defn(name=Activity.END)
    async def end(self, end: RunEnd) -> RunStatus:
        """Set the end of the time in which leases are watched.

        This happens inside the run, while no time is skipped.
        """
        run_id = end.run.run_id
        self.ends[run_id] = await self.clock() + self.after.get(run_id, timedelta())
        return end.status

    @activity.defn(name=Activity.LIST_EVENTS)
    async def list_events(self, request: EventsRequest) -> EventsReply:
        """Return the further alerts that have come by now."""
        return EventsReply(alerts=self.states[request.run.run_id].events(await self.clock()))

    async def _state(self, run_id: str) -> RehearsalState:
        """Return the state of a run as it is by now: leases may have ended since."""
        state = self.states[run_id]
        if state.leases:
            state.end_leases(await self.clock())
        return state


def _now() -> datetime:
    """Return the server's time of this attempt; the machine's clock does not see skipped time."""
    return activity.info().current_attempt_scheduled_time
