"""What happens in a rehearsal? Actions do what stubs say, people answer what the case says, and the policy judges as ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.authoring.rehearsal.action_schemas import check_input, whole_output
from orchestrator.authoring.rehearsal.inventory import Inventory
from orchestrator.authoring.rehearsal.tests_yaml.model import Answer, Picked, Stub
from orchestrator.contracts.messages import (
    ActionCall,
    ApplyReply,
    Decision,
    PlanReply,
    RunInput,
    StepRef,
    Undoable,
    UndoReply,
)
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown
from orchestrator.domain.observable import CANONICAL, ObservableType, Target
from orchestrator.domain.run import StepState
from orchestrator.policy.evaluate import Context, InForce, evaluate

FAILURES: dict[str, type[ActionError]] = {
    "unavailable": Unavailable,
    "rejected": Rejected,
    "unknown": Unknown,
}
UNDOABLE = {Effect.CONTAIN, Effect.RESTORE}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was put, and what came of it: `approved`, `declined` or `expired`. `by_policy`: the author asked nothing."""

    path: str
    text: str
    outcome: str
    escalated: bool
    form: bool
    by_policy: bool = False


@dataclass(slots=True)
class Lease:
    """What a step holds. `until`: None for no end."""

    change: Change
    until: datetime | None = None
    released: bool = False


@dataclass(slots=True)
class Stage:
    """One case's. What came of it, in order: `applied`, `undone`, `released`, `asked`; by path: `states`, `results`."""

    given: RunInput
    stubs: Mapping[str, Stub]
    answers: Sequence[Answer]
    policy: InForce
    inventory: Inventory
    further: Sequence[
        tuple[timedelta, dict[str, Any]]
    ] = ()  # alerts that come so long after the run's beginning
    began: datetime | None = None  # by the clock of whoever plays it; None: as it was given
    applied: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    states: dict[str, StepState] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    _effects: dict[str, tuple[int, Change]] = field(default_factory=dict)
    _calls: dict[str, int] = field(default_factory=dict)
    _undone_paths: set[str] = field(default_factory=set)

    def read(self, call: ActionCall) -> dict[str, Any]:
        """The stub's output. Raises Rejected that names the stub which is missing, or the wrong input; or what the stub raises."""
        check_input(call)
        stub = self.stubs.get(name_of(call))
        if stub is None:
            raise Rejected(f"{name_of(call)} has no stub; add it under `stubs`")
        output = self._called(call, stub)
        self.states[call.ref.path] = StepState.DONE
        self.results[call.ref.path] = output
        return output

    def plan(self, call: ActionCall, now: datetime) -> PlanReply:
        """Something to change, unless the stub says that there is nothing. Raises Rejected for an input that the action does not take."""
        check_input(call)
        stub = self.stubs.get(name_of(call), Stub())
        target = target_of(call)
        what = f"{call.action.replace('_', ' ')} {target.value}"
        planned_change = {
            "target": target.model_dump(mode="json"),
            "changed": stub.changed,
            "summary": what.capitalize(),
        }
        change = Change(
            connection=call.connection,
            connector="stub",
            action=call.action,
            effect=call.effect,
            input=call.input,
            planned_change=planned_change,
        )
        return PlanReply(
            change=change,
            verdict=evaluate(change, self.policy, self._facts(change), self._context(now)),
        )

    def apply(self, call: ActionCall, change: Change, now: datetime) -> ApplyReply:
        """Recorded as applied, unless the stub fails. A lost reply (`unknown`) is one of a change that was not made."""
        stub = self.stubs.get(name_of(call), Stub())
        verdict = self.plan(call, now).verdict
        output = self._called(call, stub)
        if change.changed:
            self._effects[call.ref.path] = (call.ref.seq, change)
            self._undone_paths.discard(call.ref.path)
            self.applied.append(effect_of(change))
        self.states[call.ref.path] = StepState.APPLIED
        self.results[call.ref.path] = {**output, **change.planned_change}
        return ApplyReply(outcome="applied", verdict=verdict, output=output)

    def verify(self, call: ActionCall) -> bool:
        """A stub does what it says, unless it only `accepts`."""
        stub = self.stubs.get(name_of(call), Stub())
        if not stub.accepts_only:
            self.states[call.ref.path] = StepState.VERIFIED
        return not stub.accepts_only

    def hold(self, ref: StepRef, seconds: int | None, now: datetime) -> None:
        """Holds what the step changed; until the time is up, or until somebody lifts it."""
        if ref.path in self._effects:
            self.leases[ref.path] = Lease(
                self._effects[ref.path][1],
                None if seconds is None else now + timedelta(seconds=seconds),
            )

    def due(self, now: datetime) -> list[str]:
        """Paths whose lease is over."""
        return [
            path
            for path, lease in self.leases.items()
            if not lease.released and lease.until is not None and lease.until <= now
        ]

    def next_end(self) -> datetime | None:
        """When the next lease ends."""
        return min(
            (
                lease.until
                for lease in self.leases.values()
                if not lease.released and lease.until is not None
            ),
            default=None,
        )

    def release(self, path: str) -> None:
        """The time of a lease is up: what it held is lifted."""
        lease = self.leases[path]
        lease.released = True
        if path not in self._undone_paths:
            self._undone_paths.add(path)
            self.released.append(effect_of(lease.change))
            self.states[path] = StepState.RELEASED

    def undo(self, path: str) -> UndoReply:
        """Takes back what this run applied there."""
        found = self._effects.get(path)
        if found is None or found[1].effect not in UNDOABLE or path in self._undone_paths:
            return UndoReply(outcome="not_ours")
        self._undone_paths.add(path)
        self.undone.append(effect_of(found[1]))
        self.states[path] = StepState.UNDONE
        if path in self.leases:
            self.leases[path].released = True
        return UndoReply(outcome="undone")

    def to_undo(self) -> list[Undoable]:
        """Newest first."""
        live = [
            Undoable(path=path, seq=seq)
            for path, (seq, change) in self._effects.items()
            if change.effect in UNDOABLE and path not in self._undone_paths
        ]
        return sorted(live, key=lambda each: each.seq, reverse=True)

    def events(self, now: datetime) -> tuple[dict[str, Any], ...]:
        """The further alerts that have come by now."""
        began = self.began or self.given.started_at
        return tuple(alert for after, alert in self.further if began + after <= now)

    def ask(
        self,
        path: str,
        question: str,
        changes: Sequence[Change],
        form: Mapping[str, Any] | None,
        *,
        escalated: bool,
    ) -> Decision:
        """What people say next; the case's last answer stands for all further ones, and without any nobody answers."""
        given = list(self.answers)
        number = min(len(self.asked), len(given) - 1)
        answer: Answer = given[number] if given else "expire"
        approval_id = f"apr_{self.given.run.run_id}_{len(self.asked) + 1}"
        decision = _decision(approval_id, answer, changes, form)
        by_policy = [f"{change.summary}?" for change in changes] == [question]
        self.asked.append(
            Asked(path, question, decision.state, escalated, form is not None, by_policy)
        )
        return decision

    def note(self, path: str, state: StepState, result: Any, error: str | None) -> None:
        """Where a step stands."""
        self.states[path] = state
        if result is not None:
            self.results[path] = result
        if error is not None:
            self.errors[path] = error

    def _called(self, call: ActionCall, stub: Stub) -> dict[str, Any]:
        name = name_of(call)
        count = self._calls[name] = self._calls.get(name, 0) + 1
        if stub.fails and (stub.times is None or count <= stub.times):
            raise FAILURES[stub.fails](f"{name} fails, as its stub says")
        return whole_output(
            call, stub.outputs[min(count, len(stub.outputs)) - 1] if stub.outputs else stub.output
        )

    def _context(self, now: datetime) -> Context:
        run, alert = self.given.run, self.given.alert or {}
        return Context(
            playbook=run.playbook,
            mode=run.mode,
            limits=self.given.plan.limits,
            source=alert.get("source"),
            severity=alert.get("severity") or 0,
            at=now,
        )

    def _facts(self, change: Change) -> Any:
        touched = [other for _, other in self._effects.values()]
        looked_up = [
            stub.output
            for name, stub in self.stubs.items()
            if name.endswith((".find_host", ".find_user"))
        ]
        return self.inventory.facts(
            change, self.given.alert, looked_up, touched, self.policy.policy, self.given.plan
        )


def name_of(call: ActionCall) -> str:
    """As a stub is written."""
    return f"{call.connection}.{call.action}"


def effect_of(change: Change) -> str:
    """As it is written in tests.yaml."""
    name = f"{change.connection}.{change.action}"
    return name if change.effect is Effect.NOTIFY else f"{name} {change.target.value}"


def _decision(
    approval_id: str, answer: Answer, changes: Sequence[Change], form: Mapping[str, Any] | None
) -> Decision:
    digests = tuple(change.digest for change in changes)
    match answer:
        case Picked():
            picked = tuple(
                change.digest
                for change in changes
                if effect_of(change) in answer.approve or change.target.value in answer.approve
            )
            return Decision(
                approval_id=approval_id, state="approved", approved_changes=picked, by=("somebody",)
            )
        case dict():
            return Decision(
                approval_id=approval_id,
                state="approved",
                approved_changes=digests,
                form=answer,
                by=("somebody",),
            )
        case "approve":
            empty = dict.fromkeys(form) if form is not None else None
            return Decision(
                approval_id=approval_id,
                state="approved",
                approved_changes=digests,
                form=empty,
                by=("somebody",),
            )
        case "decline":
            return Decision(approval_id=approval_id, state="declined", by=("somebody",))
        case _:
            return Decision(approval_id=approval_id, state="expired")


def target_of(call: ActionCall) -> Target:
    """What the input names (`address: ...`); a ticket or a message has the place where it is."""
    for kind in ObservableType:
        if isinstance(value := call.input.get(kind.value), str):
            try:
                return Target(type=kind, value=CANONICAL[kind](value))
            except ValueError as error:
                raise Rejected(f"{kind.value}: {error}") from error
    return Target(type=ObservableType.URL, value=f"https://{call.connection}.example/")
