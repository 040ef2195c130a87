"""How does a playbook go one step at a time? The engine's own interpreter, which asks at a gate before each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.contracts.messages import ActionCall, RunInput, StepRef
from orchestrator.contracts.question import Question
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.port import Port
from orchestrator.engine.decide.scope import Place
from orchestrator.playbook.plan import AnyStep, Use


@dataclass(frozen=True, slots=True)
class Go:
    """As the playbook says: a read is read, a change is planned and not made."""


@dataclass(frozen=True, slots=True)
class Skip:
    """As if its `when` were false."""


@dataclass(frozen=True, slots=True)
class Instead:
    """The step is not done; this is its result."""

    result: Any


Order = Go | Skip | Instead


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an action's step would call, and whom it or the group around would ask first."""

    call: ActionCall
    question: Question | None


class Gate(Protocol):
    """Who says how it goes on."""

    async def reached(
        self, step: AnyStep, ref: StepRef, place: Place, foreseen: Callable[[], Foreseen] | None
    ) -> Order:
        """Before each step whose `when` holds. `foreseen`: of an action's step; raises ExpressionError."""


class Stepping(Interpreter):
    """Timeouts stand still, as people think longer than systems."""

    def __init__(self, port: Port, run: RunInput, gate: Gate) -> None:
        super().__init__(port, run)
        self._gate = gate

    async def _timed(self, step: AnyStep, ref: StepRef, place: Place) -> Any:
        foreseen = (lambda: self._foreseen(step, ref, place)) if isinstance(step, Use) else None
        match await self._gate.reached(step, ref, place, foreseen):
            case Instead(result=result):
                await self._port.note(ref, step.kind, StepState.DONE, result=result)
                return result
            case Skip():
                await self._port.note(
                    ref, step.kind, StepState.SKIPPED, error="it was skipped by hand"
                )
                return None
            case Go():
                return await self._do(step, ref, place)

    def _foreseen(self, step: Use, ref: StepRef, place: Place) -> Foreseen:
        own = self._question(step.approve, place)
        return Foreseen(
            self._call_of(step, ref, place), own or (place.cover.question if place.cover else None)
        )
