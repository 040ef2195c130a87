"""Which changes will a group make, and what do people say of them? All that can be told beforehand is asked about at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from orchestrator.contracts.messages import ActionCall, PlanReply, StepRef
from orchestrator.contracts.question import Question
from orchestrator.domain.change import Change
from orchestrator.domain.errors import TocsinError
from orchestrator.engine.decide import change_pipeline
from orchestrator.engine.decide.port import Port
from orchestrator.engine.decide.scope import Cover, Place, StepFailed
from orchestrator.playbook.compile.inputs import accept
from orchestrator.playbook.language.evaluate import condition, evaluate
from orchestrator.playbook.plan import AnyStep, Call, Choose, ForEach, Parallel, Repeat, Use

CHANGES_AT_MOST = 200
"""Changes of one question: more than that nobody reads, nor does one message hold."""
AT_ONCE = 10

Found = tuple[Use, Place]


def foreseen(step: AnyStep, place: Place) -> Iterator[Found]:
    """The changing steps under a step, each with its place; of a `repeat`, those of the first round.

    A step with an `approve` of its own is left to that. What cannot be told yet is left out, and asked about when it comes up.
    """
    try:
        inner = list(_inside(step, place))
    except TocsinError:
        return
    yield from _changing(inner)


def foreseen_items(
    step: ForEach, first: int, items: Sequence[Any], place: Place
) -> Iterator[Found]:
    """The same for items that were evaluated already; alert data among them is not evaluated again."""
    yield from _changing(_items(step, first, items, place))


async def asked(
    port: Port,
    ref: StepRef,
    place: Place,
    question: Question,
    found: Iterator[Found],
    call_of: Callable[[Use, Place], ActionCall | None],
) -> Cover:
    """Plans, and asks once about all that would change. Raises Refused, Declined, StepFailed (too many), ActionError."""
    calls = [(use, call) for use, inner in found if (call := call_of(use, inner)) is not None]
    if len(calls) > CHANGES_AT_MOST:
        raise StepFailed(
            ref.path,
            f"it would ask about {len(calls)} changes at once, more than {CHANGES_AT_MOST}; approve smaller groups",
        )
    plans = await _plans(port, calls)
    for each in plans:
        change_pipeline.not_denied(each.verdict)  # nobody is asked about what the policy forbids
    due = [each for each in plans if each.change.changed]
    changes = list({each.change.digest: each.change for each in due}.values())
    if not changes:
        return Cover(question, {})
    for each in due:
        question = question.stricter(each.verdict)
    decision = await change_pipeline.ask(port, ref, place, question, changes)
    chosen = dict.fromkeys(decision.approved_changes, decision.approval_id)
    return Cover(question, chosen, frozenset(_digests(changes)) - chosen.keys())


async def _plans(port: Port, calls: Sequence[tuple[Use, ActionCall]]) -> list[PlanReply]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(use: Use, call: ActionCall) -> PlanReply:
        async with gate:
            return await port.plan(use, call, lease=False, hold=None)

    replies = await asyncio.gather(*(one(*each) for each in calls), return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return [reply for reply in replies if not isinstance(reply, BaseException)]


def _digests(changes: Sequence[Change]) -> Iterator[str]:
    return (change.digest for change in changes)


def _changing(steps: Sequence[tuple[AnyStep, Place]]) -> Iterator[Found]:
    for step, place in steps:
        if step.approve is not None or not _wanted(step, place):
            continue
        if isinstance(step, Use):
            if step.effect.changes:
                yield step, place
        else:
            yield from foreseen(step, place)


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
            taken = next(
                (branch.steps for branch in step.branches if condition(branch.when, place.scope())),
                step.otherwise,
            )
            yield from ((each, place.within(step.id)) for each in taken)
        case ForEach():
            items = evaluate(step.items, place.scope())
            yield from _items(
                step,
                0,
                items if isinstance(items, list) and len(items) <= step.at_most else [],
                place,
            )
        case Call():
            where = place.called(
                step.id, accept(step.plan.inputs, evaluate(step.inputs, place.scope()))
            )
            yield from ((each, where) for each in step.plan.steps)
        case _:
            return


def _items(
    step: ForEach, first: int, items: Sequence[Any], place: Place
) -> list[tuple[AnyStep, Place]]:
    places = [
        place.item(f"{step.id}[{first + offset}]", step.name, item)
        for offset, item in enumerate(items)
    ]
    return [(each, where) for where in places for each in step.steps]
