"""The port in memory: actions do what stubs say, people answer what a case says, time passes at once, the policy judges as ever."""

# ruff: noqa: ARG002  the signature is the Port's; a world of stubs needs only a part of it

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.effect import Effect
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown
from orchestrator.domain.observable import CANONICAL, ObservableType, Target
from orchestrator.domain.receipt import Change
from orchestrator.domain.run import StepState
from orchestrator.engine.contracts import (
    ActionCall,
    ApplyReply,
    BatchReply,
    Decision,
    PlanReply,
    RunContext,
    RunInput,
    StepRef,
    Undoable,
    UndoReply,
)
from orchestrator.engine.interpreter import Interpreter
from orchestrator.engine.question import Question
from orchestrator.engine.scope import Place
from orchestrator.playbook.plan import Ask, ForEach, Use
from orchestrator.policy.judge import COUNTED, Context, Facts, InForce, judge
from orchestrator.staging.cases import Answer, Stub

_FAILURES: dict[str, type[ActionError]] = {"unavailable": Unavailable, "rejected": Rejected, "unknown": Unknown}
_UNDOABLE = {Effect.CONTAIN, Effect.RESTORE}
_CRITICAL = {"domain_controller"}


class World:
    """One run's. `applied`, `undone`, `asked`, `states`: what came of it, in order. `stubs`: by connection.action."""

    def __init__(self, run: RunInput, stubs: Mapping[str, Stub], answers: Sequence[Answer], policy: InForce) -> None:
        self._run = run
        self._stubs = stubs
        self._answers = [*answers]
        self._policy = policy
        self._now = run.started_at
        self._effects: dict[str, tuple[int, Change]] = {}
        self.applied: list[str] = []
        self.undone: list[str] = []
        self.asked: list[str] = []
        self.states: dict[str, StepState] = {}

    @property
    def run(self) -> RunContext:
        """Which run this is."""
        return self._run.run

    def now(self) -> datetime:
        """A clock that waiting moves."""
        return self._now

    async def read(self, step: Use, call: ActionCall) -> dict[str, Any]:
        """The stub's output. Raises Rejected that names the stub which is missing."""
        stub = self._stubs.get(_name(call))
        if stub is None:
            raise Rejected(f"{_name(call)} has no stub; add it under `stubs`")
        if stub.fails:
            raise _FAILURES[stub.fails](f"{_name(call)} fails, as its stub says")
        self.states[call.ref.path] = StepState.DONE
        return stub.output

    async def plan(self, step: Use, call: ActionCall, *, lease: bool, hold: int | None) -> PlanReply:
        """Something to change, unless the stub says that there is nothing."""
        stub = self._stubs.get(_name(call), Stub())
        target = _target(call)
        what = f"{step.action.replace('_', ' ')} {target.value}"
        receipt = {"target": target.model_dump(mode="json"), "changed": stub.changed, "summary": what.capitalize()}
        change = Change(
            connection=call.connection, connector="stub", action=call.action, effect=call.effect, input=call.input, receipt=receipt
        )
        context = Context(playbook=self.run.playbook, mode=self.run.mode, limits=self._run.plan.limits)
        return PlanReply(change=change, judgement=judge(change, self._policy, self._facts(change), context))

    async def apply(self, step: Use, call: ActionCall, change: Change, approval_id: str | None) -> ApplyReply:
        """Recorded as applied, unless the stub fails."""
        stub = self._stubs.get(_name(call), Stub())
        judgement = (await self.plan(step, call, lease=False, hold=None)).judgement
        if stub.fails:
            raise _FAILURES[stub.fails](f"{_name(call)} fails, as its stub says")
        if change.changed:
            self._effects[call.ref.path] = (call.ref.seq, change)
            self.applied.append(_effect(change))
        return ApplyReply(outcome="applied", judgement=judgement, output=stub.output)

    async def verify(self, step: Use, call: ActionCall, change: Change, output: dict[str, Any]) -> bool:
        """A stub does what it says."""
        self.states[call.ref.path] = StepState.VERIFIED
        return True

    async def hold(self, ref: StepRef, containment_key: str, seconds: int) -> None:
        """Leases end after the rehearsal."""

    async def undo(self, path: str, reason: str) -> UndoReply:
        """Takes back what this run applied there."""
        found = self._effects.get(path)
        if found is None or found[1].effect not in _UNDOABLE or _effect(found[1]) in self.undone:
            return UndoReply(outcome="not_ours")
        self.undone.append(_effect(found[1]))
        self.states[path] = StepState.UNDONE
        return UndoReply(outcome="undone")

    async def undo_all(self, paths: Sequence[str], reason: str) -> Sequence[UndoReply]:
        """One after the other."""
        return [await self.undo(path, reason) for path in paths]

    async def to_undo(self) -> Sequence[Undoable]:
        """Newest first."""
        live = [Undoable(path=path, seq=seq) for path, (seq, change) in self._effects.items() if self._live(change)]
        return sorted(live, key=lambda each: each.seq, reverse=True)

    async def ask_change(self, ref: StepRef, question: str, changes: Sequence[Change], asked: Question) -> Decision:
        """The case's next answer; all that is shown is approved, or nothing."""
        return self._decision(question, tuple(change.digest for change in changes), None)

    async def ask_form(self, ref: StepRef, question: str, step: Ask) -> Decision:
        """The case's next answer: a mapping is the filled form."""
        return self._decision(question, (), dict.fromkeys(step.form))

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """No further alert comes."""
        return ()

    async def nudged(self, seconds: float) -> None:
        """Nobody nudges."""
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: int) -> None:
        """At once."""
        self._now += timedelta(seconds=seconds)

    async def note(
        self, ref: StepRef, kind: str, state: StepState, *, result: Any = None, error: str | None = None, inputs: Any = None
    ) -> None:
        """Kept by path."""
        self.states[ref.path] = state

    async def batch(self, ref: StepRef, step: ForEach, first: int, items: list[Any], place: Place, next_seq: int) -> BatchReply:
        """As a run of its own would do it."""
        slice_ = Interpreter(self, self._run.model_copy(update={"next_seq": next_seq}))
        return BatchReply(items=await slice_.slice(step, first, items, place), next_seq=slice_.next_seq)

    def _live(self, change: Change) -> bool:
        return change.effect in _UNDOABLE and _effect(change) not in self.undone

    def _decision(self, question: str, changes: tuple[str, ...], empty: dict[str, Any] | None) -> Decision:
        """The last answer stands for all further ones; without any, nobody answers."""
        self.asked.append(question)
        answer = (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]) if self._answers else "expire"
        name = f"apr_{len(self.asked)}"
        match answer:
            case dict():
                return Decision(approval_id=name, state="approved", approved_changes=changes, form=answer, by=("somebody",))
            case "approve":
                return Decision(approval_id=name, state="approved", approved_changes=changes, form=empty, by=("somebody",))
            case "decline":
                return Decision(approval_id=name, state="declined", by=("somebody",))
            case _:
                return Decision(approval_id=name, state="expired")

    def _facts(self, change: Change) -> Facts:
        """As far as the alert and this run tell: other runs and the rest of the inventory are not there."""
        alert = self._run.alert or {}
        parts = [part for part in (alert.get("host"), alert.get("user")) if part]
        looked_up = [stub.output for name, stub in self._stubs.items() if name.endswith((".find_host", ".find_user"))]
        names = {change.target.value}
        known = [{str(value).lower() for value in part.values() if isinstance(value, str)} for part in (*parts, *looked_up)]
        for _ in known:
            names.update(*(record for record in known if record & names))
        ours = [part for part in parts if names & {str(value).lower() for value in part.values()}]
        critical = any(part.get("critical") or part.get("kind") in _CRITICAL for part in ours)
        others = {
            other.target.value
            for _, other in self._effects.values()
            if other.effect in COUNTED and other.target.type is change.target.type and other.target != change.target
        }
        return Facts(names=tuple(sorted(names)), critical=critical, others_in_run=len(others))


def _name(call: ActionCall) -> str:
    return f"{call.connection}.{call.action}"


def _target(call: ActionCall) -> Target:
    """What the input names (`address: ...`); a ticket or a message has the place where it is."""
    for kind in ObservableType:
        if isinstance(value := call.input.get(kind.value), str):
            try:
                return Target(type=kind, value=CANONICAL[kind](value))
            except ValueError as error:
                raise Rejected(f"{kind.value}: {error}") from error
    return Target(type=ObservableType.URL, value=f"https://{call.connection}.example/")


def _effect(change: Change) -> str:
    """As it is written in tests.yaml."""
    name = f"{change.connection}.{change.action}"
    return name if change.effect is Effect.NOTIFY else f"{name} {change.target.value}"
