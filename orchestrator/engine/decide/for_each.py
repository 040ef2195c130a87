"""The `for_each` step: its items, in this history or in batches, and its result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from orchestrator.contracts.run import StepRef
from orchestrator.domain.errors import TocsinError
from orchestrator.engine.decide.scope import Declined, StepFailed, StepScope
from orchestrator.playbook.compile.results import flat_ids
from orchestrator.playbook.language.evaluate import evaluate
from orchestrator.playbook.plan import AnyStep, ForEach

T = TypeVar("T")

BATCH = 100
"""Items that share one history."""

RunSteps = Callable[[Sequence[AnyStep], StepScope], Awaitable[None]]


def evaluate_items(step: ForEach, ref: StepRef, scope: StepScope) -> list[Any]:
    """Return the items. Raise StepFailed when they are no list or too many."""
    items = evaluate(step.items, scope.variables())
    if not isinstance(items, list):
        raise StepFailed(ref.path, "for_each needs a list")
    if len(items) > step.at_most:
        raise StepFailed(
            ref.path,
            f"{len(items)} items are more than at_most: {step.at_most}; "
            "nothing was done for any of them",
        )
    return items


async def run_items(
    run_steps: RunSteps, step: ForEach, first: int, items: Sequence[Any], scope: StepScope
) -> list[dict[str, Any]]:
    """Run the steps for some items, at most `at_once` at a time; return outcomes in item order.

    `declined` in an outcome: people declined a change of that item.
    """
    gate = asyncio.Semaphore(step.at_once)
    names = flat_ids(step.steps)

    async def run_item(index: int, item: Any) -> dict[str, Any]:
        inner, error = scope.for_item(f"{step.id}[{index}]", step.name, item), None
        async with gate:
            try:
                await run_steps(step.steps, inner)
            except TocsinError as failed:
                error = failed
        return {
            "item": item,
            "ok": error is None,
            "error": error and str(error),
            "steps": {name: inner.steps.get(name) for name in names},
            "declined": is_caused_by(error, Declined),
        }

    return await gather_all([run_item(first + offset, item) for offset, item in enumerate(items)])


def summarize_items(step: ForEach, ref: StepRef, outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the step's result. Raise StepFailed when items failed and that fails the step."""
    declined = sum(outcome.pop("declined") for outcome in outcomes)
    failed = [outcome for outcome in outcomes if not outcome["ok"]]
    if failed and step.on_error == "fail":
        problem = StepFailed(
            ref.path, f"{len(failed)} of {len(outcomes)} items failed; first: {failed[0]['error']}"
        )
        raise problem from (Declined("an item was declined") if declined else None)
    return {
        "count": len(outcomes),
        "succeeded": len(outcomes) - len(failed),
        "failed": len(failed),
        "items": outcomes,
    }


def is_caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Return whether an error, or one that caused it, is of a kind."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__
    return False


async def gather_all(works: Sequence[Awaitable[T]]) -> list[T]:
    """Return all results; raise the first error only when all have ended.

    Otherwise a rollback would race with a branch that still runs.
    """
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
