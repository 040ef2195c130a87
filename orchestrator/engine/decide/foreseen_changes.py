"""Foreseen changes: the changes of a group of steps, as far as they can be known before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from orchestrator.domain.errors import TocsinError
from orchestrator.engine.decide.scope import StepScope
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.language.evaluate import evaluate, evaluate_condition
from orchestrator.playbook.plan import (
    AnyStep,
    Ask,
    CallPlaybook,
    Choose,
    ForEach,
    Parallel,
    Repeat,
    Use,
    Wait,
)

ForeseenChange = tuple[Use, StepScope]


def foreseen_changes(step: AnyStep, scope: StepScope) -> Iterator[ForeseenChange]:
    """Yield the changing steps inside a step; of a `repeat`, those of the first round.

    A step with an `approve` of its own asks for itself. A change that depends on a result that
    does not exist yet is left out, and is asked about when its step runs.
    """
    try:
        inner = list(_inner_steps(step, scope))
    except TocsinError:
        return
    yield from _changes_of(inner)


def foreseen_changes_of_items(
    step: ForEach, first: int, items: Sequence[Any], scope: StepScope
) -> Iterator[ForeseenChange]:
    """Yield the same for items that are evaluated already, so that alert data is not evaluated."""
    yield from _changes_of(_item_steps(step, first, items, scope))


def _changes_of(steps: Sequence[tuple[AnyStep, StepScope]]) -> Iterator[ForeseenChange]:
    for step, scope in steps:
        if step.approve is not None or not _runs(step, scope):
            continue
        if isinstance(step, Use):
            if step.effect.changes:
                yield step, scope
        else:
            yield from foreseen_changes(step, scope)


def _runs(step: AnyStep, scope: StepScope) -> bool:
    try:
        return step.when is None or evaluate_condition(step.when, scope.variables())
    except TocsinError:
        return False


def _inner_steps(step: AnyStep, scope: StepScope) -> Iterator[tuple[AnyStep, StepScope]]:
    match step:
        case Parallel():
            yield from ((inner, scope.inside(step.id)) for inner in step.steps)
        case Repeat():
            yield from ((inner, scope.inside(f"{step.id}[1]")) for inner in step.steps)
        case Choose():
            taken = (
                branch.steps
                for branch in step.branches
                if evaluate_condition(branch.when, scope.variables())
            )
            chosen = next(taken, step.otherwise)
            yield from ((inner, scope.inside(step.id)) for inner in chosen)
        case ForEach():
            items = evaluate(step.items, scope.variables())
            fits = isinstance(items, list) and len(items) <= step.at_most
            yield from _item_steps(step, 0, items if fits else [], scope)
        case CallPlaybook():
            inputs = accept_inputs(step.plan.inputs, evaluate(step.inputs, scope.variables()))
            called = scope.for_call(step.id, inputs)
            yield from ((inner, called) for inner in step.plan.steps)
        case Use() | Ask() | Wait():
            return
        case _:
            assert_never(step)


def _item_steps(
    step: ForEach, first: int, items: Sequence[Any], scope: StepScope
) -> list[tuple[AnyStep, StepScope]]:
    scopes = [
        scope.for_item(f"{step.id}[{first + offset}]", step.name, item)
        for offset, item in enumerate(items)
    ]
    return [(inner, each) for each in scopes for inner in step.steps]
