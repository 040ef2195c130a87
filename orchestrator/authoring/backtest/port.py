"""The port over history: what was recorded answers, the policy judges, people are taken to agree, and nothing is called or written."""

# ruff: noqa: ARG002  the signature is the Port's

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.authoring.backtest.policy_inputs import Surroundings
from orchestrator.authoring.backtest.read_resolver import NotRecorded, Recollection
from orchestrator.authoring.rehearsal.memory_port import World
from orchestrator.authoring.rehearsal.state import Asked, Stage, effect_of
from orchestrator.contracts.messages import (
    ActionCall,
    ApplyReply,
    BatchReply,
    Decision,
    PlanReply,
    StepRef,
)
from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.scope import Place
from orchestrator.playbook.language.unknown import CannotTell, NotKnown
from orchestrator.playbook.plan import AnyStep, ForEach, Use
from orchestrator.policy.evaluate import COUNTED, Context, evaluate
from orchestrator.policy.load_inputs import LOOKUPS
from orchestrator.store.queries.history import StoredAlert


@dataclass(kw_only=True)
class HistoryStage(Stage):
    """One stored alert's. What came of it: `contained`, `denied`, `would_ask`, as changes; `unknown`, as steps."""

    alert: StoredAlert
    recollection: Recollection
    surroundings: Surroundings
    contained: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    would_ask: list[str] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    looked_up: list[dict[str, Any]] = field(default_factory=list)
    _verdicts: dict[str, PolicyVerdict] = field(default_factory=dict)

    def read(self, call: ActionCall) -> dict[str, Any]:
        """What was recorded, or what was chosen to stand for it."""
        output = self.recollection.read(call, self.alert)
        if call.action in LOOKUPS and not isinstance(output, NotKnown):
            self.looked_up.append(output)
        self.note(call.ref.path, StepState.DONE, output, None)
        return output

    def plan(self, call: ActionCall, now: datetime) -> PlanReply:
        """As it was planned then, judged by the policy that is tried."""
        planned_change = self.recollection.planned(call, self.alert)
        connector = self.surroundings.connectors.get(call.connection, call.connection)
        change = Change(
            connection=call.connection,
            connector=connector,
            action=call.action,
            effect=call.effect,
            input=call.input,
            planned_change=planned_change,
        )
        verdict = self._verdicts[call.ref.path] = self._judged(change, now)
        if verdict.outcome is Verdict.DENY:
            self.denied.append(effect_of(change))
        return PlanReply(change=change, verdict=verdict)

    def apply(self, call: ActionCall, change: Change, now: datetime) -> ApplyReply:
        """Counted, never made."""
        verdict = self._verdicts[call.ref.path]  # no time has passed since the plan
        output = self.recollection.output(call, self.alert)
        if change.changed:
            self._effects[call.ref.path] = (call.ref.seq, change)
            self._undone_paths.discard(call.ref.path)
            self.applied.append(effect_of(change))
            if change.effect in COUNTED:
                self.contained.append(effect_of(change))
                self.surroundings.ledger.touch(
                    change, self.given.run.run_id, self._context(now), now
                )
        self.note(call.ref.path, StepState.APPLIED, {**output, **change.planned_change}, None)
        return ApplyReply(outcome="applied", verdict=verdict, output=output)

    def ask(
        self,
        path: str,
        question: str,
        changes: Sequence[Change],
        form: Mapping[str, Any] | None,
        *,
        escalated: bool,
    ) -> Decision:
        """They are taken to agree; a form is filled as it was then."""
        self.would_ask += (
            [effect_of(change) for change in changes]
            if form is None
            else [f"the form at step {path}"]
        )
        self.asked.append(Asked(path, question, "approved", escalated, form is not None))
        filled = None
        if form is not None:
            filled = {
                name: NotKnown(f"what people would answer to {name} at step {path}")
                for name in form
            }
            filled |= self.recollection.past.form(self.given.plan.playbook, self.alert, path)
        digests = tuple(change.digest for change in changes)
        approval_id = f"apr_{self.given.run.run_id}_{len(self.asked)}"
        return Decision(
            approval_id=approval_id,
            state="approved",
            approved_changes=digests,
            form=filled,
            by=("nobody really",),
        )

    def _judged(self, change: Change, now: datetime) -> PolicyVerdict:
        context = self._context(now)
        facts = self.surroundings.facts(
            change, self.alert.view, self.looked_up, self.given.run.run_id, now, context
        )
        return evaluate(change, self.policy, facts, context)

    def _context(self, now: datetime) -> Context:
        run = self.given.run
        return Context(
            playbook=run.playbook,
            mode=run.mode,
            limits=self.given.plan.limits,
            source=run.source,
            severity=run.severity,
            at=now,
        )


class HistoryWorld(World):
    """One stored alert's run, in the time of then."""

    def __init__(self, stage: HistoryStage) -> None:
        super().__init__(stage)
        self._history = stage
        self._joined: Sequence[StoredAlert] | None = None

    async def read(self, step: Use, call: ActionCall) -> dict[str, Any]:
        """What was recorded, or what was chosen to stand for it."""
        await self._history.recollection.prepare(call, self._history.alert)
        return self._history.read(call)

    async def plan(
        self, step: Use, call: ActionCall, *, lease: bool, hold: int | None
    ) -> PlanReply:
        """As it was planned then."""
        await self._history.recollection.prepare(call, self._history.alert)
        return await super().plan(step, call, lease=lease, hold=hold)

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """The alerts that joined the incident then."""
        return [
            each.view for each in await self._others() if since < each.received_at <= self.now()
        ]

    async def nudged(self, seconds: float) -> None:
        """Until the next alert of the incident came, or for so many seconds."""
        until = self.now() + timedelta(seconds=seconds)
        coming = [
            each.received_at
            for each in await self._others()
            if self.now() < each.received_at < until
        ]
        self.pass_until(min([*coming, until]))

    async def batch(
        self, ref: StepRef, step: ForEach, first: int, items: list[Any], place: Place, next_seq: int
    ) -> BatchReply:
        """As a run of its own would do it."""
        slice_ = Telling(self, self._history, next_seq)
        return BatchReply(
            items=await slice_.slice(step, first, items, place), next_seq=slice_.next_seq
        )

    async def _others(self) -> Sequence[StoredAlert]:
        if self._joined is None:
            alert = self._history.alert
            self._joined = [
                each
                for each in await self._history.recollection.joined(alert.incident_id)
                if each.id != alert.id
            ]
        return self._joined


class Telling(Interpreter):
    """The interpreter of every run, where a step that needs what nobody knows is unknown itself, and the run goes on."""

    def __init__(self, world: HistoryWorld, stage: HistoryStage, next_seq: int = 1) -> None:
        super().__init__(world, stage.given.model_copy(update={"next_seq": next_seq}))
        self._stage = stage

    async def _step(self, step: AnyStep, place: Place) -> Any:
        try:
            return await super()._step(step, place)
        except NotRecorded:
            raise
        except CannotTell as why:
            path = place.path(step.id)
            self._stage.unknown[path] = str(why)
            self._stage.note(path, StepState.SKIPPED, None, f"cannot tell: {why}")
            return NotKnown(f"step {path} is unknown, as {why}")
