"""The port over history: records answer, the policy evaluates, people are assumed to agree.

Nothing is called or written, except reads of real systems with `reads: live`.
"""

# ruff: noqa: ARG002  the signature is the Port's

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.authoring.backtest.policy_inputs import PolicyInputs
from orchestrator.authoring.backtest.read_resolver import NotRecorded, ReadResolver
from orchestrator.authoring.rehearsal.actions import effect_name
from orchestrator.authoring.rehearsal.memory_port import MemoryPort
from orchestrator.authoring.rehearsal.result import AskedQuestion
from orchestrator.authoring.rehearsal.state import RehearsalState
from orchestrator.contracts.approval import Decision, Question
from orchestrator.contracts.change import ApplyReply, PlanReply, StepCall
from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.scope import StepScope
from orchestrator.playbook.language.unknown import CannotTell, UnknownValue
from orchestrator.playbook.plan import AnyStep, Use
from orchestrator.policy.evaluate import COUNTED, evaluate
from orchestrator.policy.inputs import LOOKUPS, ChangeContext
from orchestrator.store.queries.history import StoredAlert


@dataclass(kw_only=True)
class HistoryState(RehearsalState):
    """The run of a playbook about one stored alert, in memory."""

    alert: StoredAlert
    resolver: ReadResolver
    policy_inputs: PolicyInputs
    contained: list[str] = field(default_factory=list)  # changes, as are the next two
    denied: list[str] = field(default_factory=list)
    would_ask: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)  # reasons by step path
    looked_up: list[dict[str, Any]] = field(default_factory=list)
    _verdicts: dict[str, PolicyVerdict] = field(default_factory=dict)

    def read(self, call: StepCall) -> dict[str, Any]:
        """Return the recorded answer, or that of the fallback."""
        output = self.resolver.read(call, self.alert)
        if call.action in LOOKUPS and not isinstance(output, UnknownValue):
            self.looked_up.append(output)
        self.note(call.ref.path, StepState.DONE, output, None)
        return output

    def plan(self, call: StepCall, now: datetime) -> PlanReply:
        """Return the recorded plan, evaluated by the policy of the backtest."""
        planned_change = self.resolver.planned(call, self.alert)
        connector = self.policy_inputs.connectors.get(call.connection, call.connection)
        change = Change(
            connection=call.connection,
            connector=connector,
            action=call.action,
            effect=call.effect,
            input=call.input,
            planned_change=planned_change,
        )
        verdict = self._verdicts[call.ref.path] = self._evaluate(change, now)
        if verdict.outcome is Verdict.DENY:
            self.denied.append(effect_name(change))
        return PlanReply(change=change, verdict=verdict)

    def apply(self, call: StepCall, change: Change, now: datetime) -> ApplyReply:
        """Count a change; nothing is called."""
        verdict = self._verdicts[call.ref.path]  # no time has passed since the plan
        output = self.resolver.output(call, self.alert)
        if change.changed:
            self._effects[call.ref.path] = (call.ref.seq, change)
            self._undone_paths.discard(call.ref.path)
            self.applied.append(effect_name(change))
            if change.effect in COUNTED:
                self.contained.append(effect_name(change))
                self.policy_inputs.ledger.touch(
                    change, self.given.run.run_id, self._context(now), now
                )
        self.note(call.ref.path, StepState.APPLIED, {**output, **change.planned_change}, None)
        return ApplyReply(outcome="applied", verdict=verdict, output=output)

    def ask(
        self,
        path: str,
        question: Question,
        changes: Sequence[Change],
        form: Mapping[str, Any] | None,
    ) -> Decision:
        """Approve everything; a form is filled as it was then."""
        self.would_ask += (
            [effect_name(change) for change in changes]
            if form is None
            else [f"the form at step {path}"]
        )
        self.asked.append(
            AskedQuestion(path, question.text, "approved", question.escalated, form is not None)
        )
        filled = None
        if form is not None:
            filled = {
                name: UnknownValue(f"what people would answer to {name} at step {path}")
                for name in form
            }
            filled |= self.resolver.index.form(self.given.plan.playbook, self.alert, path)
        digests = tuple(change.digest for change in changes)
        approval_id = f"apr_{self.given.run.run_id}_{len(self.asked)}"
        return Decision(
            approval_id=approval_id,
            state="approved",
            approved_changes=digests,
            form=filled,
            by=("backtest",),
        )

    def _evaluate(self, change: Change, now: datetime) -> PolicyVerdict:
        context = self._context(now)
        facts = self.policy_inputs.facts(
            change, self.alert.view, self.looked_up, self.given.run.run_id, now, context
        )
        return evaluate(change, self.policy, facts, context)

    def _context(self, now: datetime) -> ChangeContext:
        run = self.given.run
        return ChangeContext(
            playbook=run.playbook,
            mode=run.mode,
            limits=self.given.plan.limits,
            source=run.source,
            severity=run.severity,
            at=now,
        )


class HistoryPort(MemoryPort):
    """The port of one stored alert's run, at the time when the alert was received."""

    def __init__(self, state: HistoryState) -> None:
        super().__init__(state)
        self._history = state
        self._joined: Sequence[StoredAlert] | None = None

    async def read(self, step: Use, call: StepCall) -> dict[str, Any]:
        """Return the recorded answer, or that of the fallback."""
        await self._history.resolver.prepare(call, self._history.alert)
        return self._history.read(call)

    async def plan(
        self,
        step: Use,
        call: StepCall,
        *,
        lease: bool,
        hold: int | None,
        approved: Collection[str] | None = None,
    ) -> PlanReply:
        """Return the recorded plan."""
        await self._history.resolver.prepare(call, self._history.alert)
        return await super().plan(step, call, lease=lease, hold=hold, approved=approved)

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """Return the alerts that joined the incident since a moment."""
        return [
            each.view for each in await self._others() if since < each.received_at <= self.now()
        ]

    async def wait_for_event(self, seconds: float) -> None:
        """Let time pass until the next alert of the incident, at most for so many seconds."""
        until = self.now() + timedelta(seconds=seconds)
        coming = [
            each.received_at
            for each in await self._others()
            if self.now() < each.received_at < until
        ]
        self.pass_until(min([*coming, until]))

    def _interpreter(self, next_seq: int) -> Interpreter:
        return UnknownTolerantInterpreter(self, self._history, next_seq)

    async def _others(self) -> Sequence[StoredAlert]:
        if self._joined is None:
            alert = self._history.alert
            self._joined = [
                each
                for each in await self._history.resolver.joined(alert.incident_id)
                if each.id != alert.id
            ]
        return self._joined


class UnknownTolerantInterpreter(Interpreter):
    """The interpreter of every run; a step that needs an unknown value is skipped as unknown."""

    def __init__(self, port: HistoryPort, state: HistoryState, next_seq: int = 1) -> None:
        super().__init__(port, state.given.model_copy(update={"next_seq": next_seq}), port)
        self._state = state

    async def run_step(self, step: AnyStep, scope: StepScope) -> Any:
        """Return the step's result, an unknown value if the step depends on one."""
        try:
            return await super().run_step(step, scope)
        except NotRecorded:
            raise
        except CannotTell as why:
            path = scope.path(step.id)
            self._state.unknown[path] = str(why)
            self._state.note(path, StepState.UNDETERMINED, None, f"cannot tell: {why}")
            return UnknownValue(f"step {path} is unknown, as {why}")
