"""A world in memory that serves the engine's activities: devices, leases and people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

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
from orchestrator.contracts.requests import WorkerReply, WorkerRequest
from orchestrator.contracts.run import EventsReply, EventsRequest, RunContext, RunEnd, StepRecord
from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.run import RunStatus


@dataclass
class MemoryWorld:
    """Devices, leases and people. Set `verdict`, `lose_replies`, `lies`, `decide` for behaviour."""

    verdict: Verdict = Verdict.ALLOW
    lose_replies: int = 0
    lies: bool = False
    busy: int = 0  # how often another run is applying the same
    lifting: int = 0  # how often the target is being lifted
    outdated: int = 0  # how often others hold what the plan did not name
    fail_reads: int = 0
    decide: Callable[[AskRequest], Decision | None] = lambda _: None
    in_force: set[str] = field(default_factory=set)
    applied: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    asked: list[AskRequest] = field(default_factory=list)
    records: list[StepRecord] = field(default_factory=list)
    ended: list[RunEnd] = field(default_factory=list)
    held: list[HoldRequest] = field(default_factory=list)
    effects: dict[str, tuple[int, str]] = field(default_factory=dict)
    approvals: dict[str, AskRequest] = field(default_factory=dict)
    decided: dict[str, Decision] = field(default_factory=dict)
    planned: list[PlanRequest] = field(default_factory=list)
    before_plan: Callable[[PlanRequest], None] = lambda _: None
    before_apply: Callable[[ApplyRequest], Awaitable[None]] | None = None
    reads: list[StepCall] = field(default_factory=list)
    read_at: list[datetime] = field(default_factory=list)
    retry_after: timedelta | None = None
    leases: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    store_away: int = 0
    due: list[UndoRequest] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    check_fails: bool = False
    undo_fails: bool = False
    undo_requests: list[UndoRequest] = field(default_factory=list)
    on_ask: Callable[[str], Awaitable[None]] | None = None
    generation: int = 0
    broken: set[str] = field(
        default_factory=set
    )  # actions whose planned change lacks a required field
    tags: list[str] = field(default_factory=list)
    policy_by: str | None = None
    policy_quorum: int = 1
    looked_for: list[str] = field(default_factory=list)  # approvals that the run looked up
    released: str = ""  # by a person, before the device is read back
    asked_first: Question | None = None  # before the run may begin

    def activities(self) -> list[Callable[..., Any]]:
        """Return all activities of the contract."""
        return [
            self.read, self.plan, self.apply, self.verify, self.hold, self.undo, self.list_undoable,
            self.ask, self.read_decision, self.close_approval, self.list_events, self.record,
            self.begin, self.end, self.list_due, self.check_drift, self.handle_request,
        ]  # fmt: skip

    @activity.defn(name=Activity.READ)
    async def read(self, call: StepCall) -> ReadReply:
        self.reads.append(call)
        self.read_at.append(activity.info().current_attempt_scheduled_time)
        if self.fail_reads:
            self.fail_reads -= 1
            raise ApplicationError(
                "the vendor is away", type="Unavailable", next_retry_delay=self.retry_after
            )
        output = {
            "known": True,
            "malicious": 50,
            "suspicious": 0,
            "harmless": 0,
            "undetected": 0,
            "reputation": 0,
            "tags": self.tags,
            "link": None,
        }
        return ReadReply(output=output)

    @activity.defn(name=Activity.PLAN)
    async def plan(self, request: PlanRequest) -> PlanReply:
        self.before_plan(request)
        self.planned.append(request)
        if request.lease:
            self.leases.add(request.call.ref.path)
        busy = "it is being lifted" if self.lifting else None
        self.lifting = max(0, self.lifting - 1)
        return PlanReply(change=self._change(request.call), verdict=self._verdict(), busy=busy)

    @activity.defn(name=Activity.APPLY)
    async def apply(self, request: ApplyRequest) -> ApplyReply:
        target = request.change.target.value
        if self.before_apply is not None:
            await self.before_apply(request)
        if self.verdict is Verdict.ASK and request.approval_id not in self.approvals:
            return ApplyReply(outcome="needs_approval", verdict=self._verdict())
        if self.busy:
            self.busy -= 1
            return ApplyReply(outcome="busy", verdict=self._verdict())
        if self.outdated:
            self.outdated -= 1
            return ApplyReply(outcome="outdated", verdict=self._verdict(), detail="run_2 holds it")
        self.effects[request.call.ref.path] = (request.call.ref.seq, target)
        if not self.lies:
            self.in_force.add(target)
        self.applied.append(target)
        if self.lose_replies:
            self.lose_replies -= 1
            raise ApplicationError("the reply was lost", type="Unknown", non_retryable=True)
        return ApplyReply(outcome="applied", verdict=self._verdict())

    @activity.defn(name=Activity.VERIFY)
    async def verify(self, request: VerifyRequest) -> VerifyReply:
        return VerifyReply(
            verified=request.change.target.value in self.in_force,
            detail=self.released,
            released=bool(self.released),
        )

    @activity.defn(name=Activity.HOLD)
    async def hold(self, request: HoldRequest) -> None:
        self.held.append(request)

    @activity.defn(name=Activity.UNDO)
    async def undo(self, request: UndoRequest) -> UndoReply:
        self.leases.discard(request.path)
        self.undo_requests.append(request)
        if self.undo_fails:
            raise ApplicationError("the vendor is away", type="Unavailable")
        if request.path in self.stuck:
            return UndoReply(outcome="stuck", detail="the system refuses")
        found = self.effects.pop(request.path, None)
        if found is None:
            return UndoReply(outcome="not_ours")
        self.in_force.discard(found[1])
        self.undone.append(found[1])
        return UndoReply(outcome="undone")

    @activity.defn(name=Activity.LIST_UNDOABLE)
    async def list_undoable(self, _: RunContext) -> list[UndoableStep]:
        if self.ended:
            return []
        newest = sorted(self.effects.items(), key=lambda item: -item[1][0])
        due = [UndoableStep(path=path, seq=seq) for path, (seq, _target) in newest]
        return [
            *due,
            *(UndoableStep(path=path, seq=0) for path in sorted(self.leases - self.effects.keys())),
        ][:200]

    @activity.defn(name=Activity.ASK)
    async def ask(self, request: AskRequest) -> AskReply:
        self.asked.append(request)
        approval_id = f"apr_{len(self.asked)}"
        decision = self.decide(request)
        if decision is not None:
            if decision.state == "approved":
                self.approvals[approval_id] = request
            decision = decision.model_copy(update={"approval_id": approval_id})
            self.decided[approval_id] = decision
        if self.on_ask is not None:
            await self.on_ask(approval_id)
        started = activity.info().current_attempt_scheduled_time
        return AskReply(
            approval_id=approval_id,
            digest="d",
            expires_at=started + timedelta(seconds=request.within),
        )

    @activity.defn(name=Activity.READ_DECISION)
    async def read_decision(self, approval_id: str) -> DecisionReply:
        self.looked_for.append(approval_id)
        return DecisionReply(decision=self.decided.get(approval_id))

    @activity.defn(name=Activity.CLOSE_APPROVAL)
    async def close_approval(self, approval_id: str) -> Decision:
        return self.decided.get(approval_id) or Decision(approval_id=approval_id, state="expired")

    @activity.defn(name=Activity.LIST_EVENTS)
    async def list_events(self, _: EventsRequest) -> EventsReply:
        return EventsReply(alerts=tuple(self.alerts))

    @activity.defn(name=Activity.RECORD)
    async def record(self, records: list[StepRecord]) -> None:
        self.records += records

    @activity.defn(name=Activity.BEGIN)
    async def begin(self, _: RunContext) -> BeginReply:
        return BeginReply(question=self.asked_first)

    @activity.defn(name=Activity.END)
    async def end(self, end: RunEnd) -> RunStatus:
        if self.store_away:
            self.store_away -= 1
            raise ApplicationError("the database does not answer", type="Unavailable")
        self.ended.append(end)
        return self.ended[0].status

    @activity.defn(name=Activity.LIST_DUE)
    async def list_due(self, _: str) -> list[UndoRequest]:
        return self.due

    @activity.defn(name=Activity.CHECK_DRIFT)
    async def check_drift(self, key: str) -> None:
        self.checked.append(key)
        if self.check_fails:
            raise ApplicationError("the database does not answer", type="Unavailable")

    @activity.defn(name=Activity.HANDLE_REQUEST)
    async def handle_request(self, _: WorkerRequest) -> WorkerReply:
        return WorkerReply(answer=[])

    def _verdict(self) -> PolicyVerdict:
        return PolicyVerdict(
            outcome=self.verdict,
            reasons=("as the test says",),
            policy_version=1,
            policy_digest="p",
            by=self.policy_by,
            quorum=self.policy_quorum,
        )

    def _change(self, call: StepCall) -> Change:
        value = str(next(iter(call.input.values())))
        kind = "host" if "host" in call.input else "address"
        planned_change = {
            "target": {"type": kind, "value": value},
            "changed": value not in self.in_force,
            "summary": f"{call.action} {value}{' again' * self.generation}",
        }
        if call.action in self.broken:
            del planned_change["summary"]
        return Change(
            connection=call.connection,
            connector="memory",
            action=call.action,
            effect=call.effect,
            input=call.input,
            planned_change=planned_change,
        )
