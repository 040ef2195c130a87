"""The state of one rehearsed run: stubs act, people answer what the case says, policy evaluates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.authoring.rehearsal.actions import (
    action_name,
    check_input,
    complete_output,
    effect_name,
    is_own,
    target_of,
)
from orchestrator.authoring.rehearsal.inventory import CaseInventory
from orchestrator.authoring.rehearsal.result import AskedQuestion
from orchestrator.authoring.rehearsal.tests_yaml.model import Answer, PartialApproval, Stub
from orchestrator.contracts.approval import Decision, Question
from orchestrator.contracts.change import (
    ApplyReply,
    PlanReply,
    StepCall,
    UndoableStep,
    UndoReply,
)
from orchestrator.contracts.run import RunInput, StepRef
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown
from orchestrator.domain.run import StepState
from orchestrator.policy.evaluate import evaluate
from orchestrator.policy.inputs import ChangeContext, PolicyInForce

FAILURES: dict[str, type[ActionError]] = {
    "unavailable": Unavailable,
    "rejected": Rejected,
    "unknown": Unknown,
}
UNDOABLE = {Effect.CONTAIN, Effect.RESTORE}
_PEOPLE = ("people",)
"""Who decides in a rehearsal."""


@dataclass(slots=True)
class SimulatedLease:
    """The lease of a step."""

    change: Change
    until: datetime
    released: bool = False


@dataclass(slots=True)
class RehearsalState:
    """The state of one case. Effects are kept in order, results by step path."""

    given: RunInput
    stubs: Mapping[str, Stub]
    answers: Sequence[Answer]
    policy: PolicyInForce
    inventory: CaseInventory
    # Alerts that come so long after the run began.
    further: Sequence[tuple[timedelta, dict[str, Any]]] = ()
    began: datetime | None = None  # by the clock that plays the case; None: as given
    applied: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    asked: list[AskedQuestion] = field(default_factory=list)
    states: dict[str, StepState] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    leases: dict[str, SimulatedLease] = field(default_factory=dict)
    _effects: dict[str, tuple[int, Change]] = field(default_factory=dict)
    _calls: dict[str, int] = field(default_factory=dict)
    _undone_paths: set[str] = field(default_factory=set)

    def read(self, call: StepCall) -> dict[str, Any]:
        """Return the stub's output.

        Raises Rejected for a missing stub or wrong input, and what the stub says.
        """
        check_input(call)
        stub = self.stubs.get(action_name(call), Stub() if is_own(call) else None)
        if stub is None:
            raise Rejected(f"{action_name(call)} has no stub; add it under `stubs`")
        output = self._call_stub(call, stub)
        self.states[call.ref.path] = StepState.DONE
        self.results[call.ref.path] = output
        return output

    def plan(self, call: StepCall, now: datetime) -> PlanReply:
        """Plan a change, or none when the stub says so. Raises Rejected for wrong input."""
        check_input(call)
        stub = self.stubs.get(action_name(call), Stub())
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

    def apply(self, call: StepCall, change: Change, now: datetime) -> ApplyReply:
        """Record a change as applied, unless the stub fails.

        A stub that fails with `unknown` did not apply it.
        """
        stub = self.stubs.get(action_name(call), Stub())
        verdict = self.plan(call, now).verdict
        output = self._call_stub(call, stub)
        if change.changed:
            self._effects[call.ref.path] = (call.ref.seq, change)
            self._undone_paths.discard(call.ref.path)
            self.applied.append(effect_name(change))
        self.states[call.ref.path] = StepState.APPLIED
        self.results[call.ref.path] = {**output, **change.planned_change}
        return ApplyReply(outcome="applied", verdict=verdict, output=output)

    def verify(self, call: StepCall) -> bool:
        """Return whether the stub did what it said; one with `accepts_only` did not."""
        stub = self.stubs.get(action_name(call), Stub())
        if not stub.accepts_only:
            self.states[call.ref.path] = StepState.VERIFIED
        return not stub.accepts_only

    def hold(self, ref: StepRef, seconds: int, now: datetime) -> None:
        """Start the lease on what a step changed."""
        if ref.path in self._effects:
            until = now + timedelta(seconds=seconds)
            self.leases[ref.path] = SimulatedLease(self._effects[ref.path][1], until)

    def end_leases(self, now: datetime) -> None:
        """Release what leases hold that are over, the earliest first."""
        over = [
            (lease.until, path)
            for path, lease in self.leases.items()
            if not lease.released and lease.until <= now
        ]
        for _, path in sorted(over):
            self.release(path)

    def release(self, path: str) -> None:
        """Lift what a lease held, as its time is up."""
        lease = self.leases[path]
        lease.released = True
        if path not in self._undone_paths:
            self._undone_paths.add(path)
            self.released.append(effect_name(lease.change))
            self.states[path] = StepState.RELEASED

    def undo(self, path: str) -> UndoReply:
        """Undo what this run applied in a step."""
        found = self._effects.get(path)
        if found is None or found[1].effect not in UNDOABLE or path in self._undone_paths:
            return UndoReply(outcome="not_ours")
        self._undone_paths.add(path)
        self.undone.append(effect_name(found[1]))
        self.states[path] = StepState.UNDONE
        if path in self.leases:
            self.leases[path].released = True
        return UndoReply(outcome="undone")

    def undoable_steps(self) -> list[UndoableStep]:
        """Return the steps that can be undone, newest first."""
        live = [
            UndoableStep(path=path, seq=seq)
            for path, (seq, change) in self._effects.items()
            if change.effect in UNDOABLE and path not in self._undone_paths
        ]
        return sorted(live, key=lambda each: each.seq, reverse=True)

    def events(self, now: datetime) -> tuple[dict[str, Any], ...]:
        """Return the further alerts that have come by now."""
        began = self.began or self.given.started_at
        return tuple(alert for after, alert in self.further if began + after <= now)

    def ask(
        self,
        path: str,
        question: Question,
        changes: Sequence[Change],
        form: Mapping[str, Any] | None,
    ) -> Decision:
        """Return the next answer of the case.

        The last answer stands for all further questions; without any, no one answers.
        """
        number = min(len(self.asked), len(self.answers) - 1)
        answer: Answer = self.answers[number] if self.answers else "expire"
        approval_id = f"apr_{self.given.run.run_id}_{len(self.asked) + 1}"
        decision = _decision(approval_id, answer, changes, form)
        self.asked.append(
            AskedQuestion(
                path,
                question.text,
                decision.state,
                question.escalated,
                form is not None,
                question.by_policy,
            )
        )
        return decision

    def note(self, path: str, state: StepState, result: Any, error: str | None) -> None:
        """Record a step's state."""
        self.states[path] = state
        if result is not None:
            self.results[path] = result
        if error is not None:
            self.errors[path] = error

    def _call_stub(self, call: StepCall, stub: Stub) -> dict[str, Any]:
        name = action_name(call)
        count = self._calls[name] = self._calls.get(name, 0) + 1
        if stub.fails and (stub.times is None or count <= stub.times):
            raise FAILURES[stub.fails](f"{name} fails, as its stub says")
        return complete_output(
            call, stub.outputs[min(count, len(stub.outputs)) - 1] if stub.outputs else stub.output
        )

    def _context(self, now: datetime) -> ChangeContext:
        run, alert = self.given.run, self.given.alert or {}
        return ChangeContext(
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


def _decision(
    approval_id: str, answer: Answer, changes: Sequence[Change], form: Mapping[str, Any] | None
) -> Decision:
    approved: tuple[str, ...] = tuple(change.digest for change in changes)
    filled: dict[str, Any] | None = None
    match answer:
        case PartialApproval():
            approved = tuple(
                change.digest
                for change in changes
                if effect_name(change) in answer.approve or change.target.value in answer.approve
            )
        case dict():
            filled = answer
        case "approve":
            filled = dict.fromkeys(form) if form is not None else None
        case "decline":
            return Decision(approval_id=approval_id, state="declined", by=_PEOPLE)
        case _:
            return Decision(approval_id=approval_id, state="expired")
    return Decision(
        approval_id=approval_id,
        state="approved",
        approved_changes=approved,
        form=filled,
        by=_PEOPLE,
    )
