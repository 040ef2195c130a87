"""Which changes will a group make? Those whose conditions and inputs are known before its first step."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.errors import TocsinError
from orchestrator.engine.scope import Place
from orchestrator.playbook.expressions import condition, evaluate
from orchestrator.playbook.inputs import accept
from orchestrator.playbook.plan import AnyStep, Call, Choose, ForEach, Parallel, Repeat, Use


def foreseen(step: AnyStep, place: Place) -> Iterator[tuple[Use, Place]]:
    """The changing steps under a step, each with its place; of a `repeat`, those of the first round.

    A step with an `approve` of its own is left to that. What cannot be told yet is left out, and asked about when it comes up.
    """
    try:
        inner = list(_inside(step, place))
    except TocsinError:
        return
    for each, where in inner:
        if each.approve is not None or not _wanted(each, where):
            continue
        if isinstance(each, Use):
            if each.effect.changes:
                yield each, where
        else:
            yield from foreseen(each, where)


def _wanted(step: AnyStep, place: Place) -> bool:
    try:
        return step.when is None or condition(step.when, place.scope())
    except TocsinError:
        return False


def _inside(step: AnyStep, place: Place) -> Iterator[tuple[AnyStep, Place]]:
    match step:
        case Parallel():
            yield from ((each, place.within(step.id)) for each in step.steps)
        case Repeat():
            yield from ((each, place.within(f"{step.id}[1]")) for each in step.steps)
        case Choose():
            taken = next((branch.steps for branch in step.branches if condition(branch.when, place.scope())), step.otherwise)
            yield from ((each, place.within(step.id)) for each in taken)
        case ForEach():
            items = evaluate(step.items, place.scope())
            listed = items if isinstance(items, list) and len(items) <= step.at_most else []
            for index, item in enumerate(listed):
                where = place.item(f"{step.id}[{index}]", step.name, item)
                yield from ((each, where) for each in step.steps)
        case Call():
            where = place.called(step.id, accept(step.plan.inputs, evaluate(step.inputs, place.scope())))
            yield from ((each, where) for each in step.plan.steps)
        case _:
            return
