"""The stepping interpreter: the engine's own interpreter, which asks a gate before each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.contracts.approval import Question
from orchestrator.contracts.change import StepCall
from orchestrator.contracts.run import RunInput, StepRef
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.port import DryRunPort
from orchestrator.engine.decide.scope import StepScope
from orchestrator.playbook.plan import AnyStep, Use


@dataclass(frozen=True, slots=True)
class Proceed:
    """Do the step as in a dry run: a read is read, a change is planned and not applied."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Skip the step, as if its `when` were false."""


@dataclass(frozen=True, slots=True)
class Override:
    """Do not do the step, and use this result."""

    result: Any


Order = Proceed | Skip | Override


@dataclass(frozen=True, slots=True)
class UpcomingCall:
    """What a step would call, and the question that it or the group around it would ask first."""

    call: StepCall
    question: Question | None


Upcoming = Callable[[], UpcomingCall]
"""Evaluates the upcoming call of a step. Raises ExpressionError."""


class StepGate(Protocol):
    """Decides how to continue before each step."""

    async def reached(
        self, step: AnyStep, ref: StepRef, scope: StepScope, upcoming: Upcoming | None
    ) -> Order:
        """Return the order for a step whose `when` holds. `upcoming`: of a step with an action."""


class SteppingInterpreter(Interpreter):
    """An interpreter without step timeouts, as people think longer than systems."""

    def __init__(self, port: DryRunPort, run: RunInput, gate: StepGate) -> None:
        super().__init__(port, run, None)
        self._gate = gate

    async def _run_with_timeout(self, step: AnyStep, ref: StepRef, scope: StepScope) -> Any:
        upcoming = (lambda: self._upcoming(step, ref, scope)) if isinstance(step, Use) else None
        match await self._gate.reached(step, ref, scope, upcoming):
            case Override(result=result):
                await self._port.note(ref, step.kind, StepState.DONE, result=result)
                return result
            case Skip():
                reason = "skipped in the debug session"
                await self._port.note(ref, step.kind, StepState.SKIPPED, error=reason)
                return None
            case Proceed():
                return await self._run_kind(step, ref, scope)

    def _upcoming(self, step: Use, ref: StepRef, scope: StepScope) -> UpcomingCall:
        own = self._question_of(step.approve, scope)
        around = scope.approval.question if scope.approval else None
        return UpcomingCall(self._call_of(step, ref, scope), own or around)
