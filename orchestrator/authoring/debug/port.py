"""The port of a debug session: real reads, real plans, and the policy's word on them; nothing is ever applied by it."""

# ruff: noqa: ARG002  the signature is the Port's

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NoReturn

from connectors.sdk.call import Call
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_key
from orchestrator.connections.connections import open_connection_for
from orchestrator.contracts.messages import (
    ActionCall,
    ApplyReply,
    BatchReply,
    Decision,
    PlanReply,
    RunContext,
    StepRef,
    Undoable,
    UndoReply,
)
from orchestrator.contracts.question import Question
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Halted
from orchestrator.domain.masking import masked
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import StepState
from orchestrator.engine.activities.evaluate import evaluate_change
from orchestrator.engine.activities.refused_writes import attempts_reported
from orchestrator.engine.activities.step_records import save_step, step_event
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.scope import Place
from orchestrator.playbook.plan import Ask, ForEach, Use
from orchestrator.runtime import Runtime


class Noted(Frozen):
    """Where a step stands, secrets masked."""

    path: str
    kind: str
    state: StepState
    result: Any = None
    error: str | None = None


class DebugPort:
    """One session's. `slices`: makes the interpreter of a slice of a long `for_each`, numbered from there on."""

    def __init__(self, rt: Runtime, run: RunContext, slices: Callable[[int], Interpreter]) -> None:
        self._rt = rt
        self._run = run
        self._slices = slices
        self.notes: dict[str, Noted] = {}

    @property
    def run(self) -> RunContext:
        """Which session this is, told as a dry run."""
        return self._run

    def now(self) -> datetime:
        """The clock of the process."""
        return self._rt.clock()

    async def read(self, step: Use, call: ActionCall) -> dict[str, Any]:
        """The real system's answer, recorded as that of a run is."""
        started = self._rt.clock()
        connector = await open_connection_for(self._rt, call.connection, Access.READ)
        async with attempts_reported(self._rt, call):
            output: dict[str, Any] = await connector.read(call.action, call.input, _call(call))
        now, shown = self._rt.clock(), masked(output)
        told = {
            "connection": call.connection,
            "action": call.action,
            "input": call.input,
            "output": shown,
            "debug": True,
        }
        async with self._rt.store.write() as session:
            await save_step(session, call, StepState.DONE, started, now, result=shown)
            await trail.record_all(
                session,
                [step_event(call.ref, EventKind.STEP_READ, told, now, digest(call.input), started)],
            )
        self.notes[call.ref.path] = Noted(
            path=call.ref.path, kind="use", state=StepState.DONE, result=shown
        )
        return output

    async def plan(
        self, step: Use, call: ActionCall, *, lease: bool, hold: int | None
    ) -> PlanReply:
        """What would change now, and what the policy says of it; no lease is registered, whatever is asked for."""
        connector = await open_connection_for(self._rt, call.connection, Access.READ)
        async with attempts_reported(self._rt, call):
            planned_change = await connector.plan(call.action, call.input, _call(call))
        change = Change(
            connection=call.connection,
            connector=connector.name,
            action=call.action,
            effect=call.effect,
            input=call.input,
            planned_change=planned_change,
        )
        async with self._rt.store.read() as session:
            verdict = await evaluate_change(session, change, call.ref.run, self._rt.clock())
        self.notes[call.ref.path] = Noted(
            path=call.ref.path, kind="use", state=StepState.PLANNED, result=masked(planned_change)
        )
        return PlanReply(change=change, verdict=verdict)

    async def apply(
        self, step: Use, call: ActionCall, change: Change, approval_id: str | None
    ) -> ApplyReply:
        """Never. Raises Halted."""
        _never()

    async def verify(
        self, step: Use, call: ActionCall, change: Change, output: dict[str, Any]
    ) -> bool:
        """Never: nothing was applied. Raises Halted."""
        _never()

    async def hold(self, ref: StepRef, containment_key: str, seconds: int | None) -> None:
        """Never: nothing was applied. Raises Halted."""
        _never()

    async def undo(self, path: str, reason: str) -> UndoReply:
        """Nothing is there to be taken back."""
        return UndoReply(outcome="not_ours")

    async def undo_all(self, paths: Sequence[str], reason: str) -> Sequence[UndoReply]:
        """Nothing is there to be taken back."""
        return [UndoReply(outcome="not_ours") for _ in paths]

    async def to_undo(self) -> Sequence[Undoable]:
        """Nothing."""
        return ()

    async def ask_change(
        self, ref: StepRef, question: str, changes: Sequence[Change], asked: Question
    ) -> Decision:
        """Never: nobody is asked by a session. Raises Halted."""
        _never()

    async def ask_form(self, ref: StepRef, question: str, step: Ask) -> Decision:
        """Never: nobody is asked by a session. Raises Halted."""
        _never()

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """A session waits for nothing."""
        return ()

    async def nudged(self, seconds: float) -> None:
        """At once."""

    async def sleep(self, seconds: int) -> None:
        """At once."""

    async def note(
        self,
        ref: StepRef,
        kind: str,
        state: StepState,
        *,
        result: Any = None,
        error: str | None = None,
        inputs: Any = None,
        asked: dict[str, Any] | None = None,
    ) -> None:
        """Kept by path; whom a step would ask stands beside what it would change."""
        before = self.notes.get(ref.path)
        shown = masked(result) if result is not None else before.result if before else None
        self.notes[ref.path] = Noted(
            path=ref.path, kind=kind, state=state, result=shown, error=error
        )

    async def batch(
        self, ref: StepRef, step: ForEach, first: int, items: list[Any], place: Place, next_seq: int
    ) -> BatchReply:
        """As a run of its own would do it."""
        slice_ = self._slices(next_seq)
        return BatchReply(
            items=await slice_.slice(step, first, items, place), next_seq=slice_.next_seq
        )


def _never() -> NoReturn:
    raise Halted(
        "a debug session applies nothing and asks nobody by itself; say `apply` for a step that is to be carried out"
    )


def _call(call: ActionCall) -> Call:
    run = call.ref.run
    return Call(
        key=call_key(run.run_id, call.ref.path, call.action),
        run_id=run.run_id,
        step_id=call.ref.path,
        reason=f"Tocsin debug session {run.run_id} of {run.playbook}, step {call.ref.path}",
        heartbeat=_unheard,
    )


def _unheard(_detail: Any) -> None:
    """Nobody listens: a session that hangs is ended by its idle time."""
