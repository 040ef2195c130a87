"""How much of a playbook did its tests reach? Read from what the rehearsals left: states, results and questions by step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.authoring.rehearsal.points import Point, points
from orchestrator.authoring.rehearsal.result import Rehearsal
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import StepState
from orchestrator.playbook.plan import (
    AnyStep,
    Ask,
    Call,
    Choose,
    ForEach,
    Parallel,
    Plan,
    Repeat,
    Wait,
)

_SKIPPED = {StepState.SKIPPED}
_FAILED = {StepState.FAILED, StepState.REFUSED, StepState.DECLINED}
_ROUND = re.compile(r"\[\d+\+?\]")


class Reached(Frozen):
    """One point of the playbook, and whether a test came to it."""

    path: str
    what: str
    reached: bool


class Coverage(Frozen):
    """All points of a playbook."""

    points: tuple[Reached, ...]

    @property
    def percent(self) -> float:
        """Of all points, those that were reached; 100 where there is none."""
        return (
            100.0 * sum(each.reached for each in self.points) / len(self.points)
            if self.points
            else 100.0
        )

    @property
    def missing(self) -> tuple[Reached, ...]:
        """Those that no test came to."""
        return tuple(each for each in self.points if not each.reached)


def coverage(plan: Plan, rehearsals: Iterable[Rehearsal]) -> Coverage:
    """What these rehearsals of the plan reached together."""
    kinds = dict(steps_of(plan))
    seen: set[Point] = set()
    for each in rehearsals:
        seen.update(_seen(each, kinds))
    return Coverage(
        points=tuple(
            Reached(path=each.path, what=each.what, reached=each in seen) for each in points(plan)
        )
    )


def plain(path: str) -> str:
    """A step's path without the rounds of loops."""
    return _ROUND.sub("", path)


def _seen(found: Rehearsal, kinds: Mapping[str, AnyStep]) -> Iterator[Point]:
    if found.status is None:
        yield Point("trigger", "does not fit")
        return
    yield Point("trigger", "fits")
    if found.status == "rolled_back" or (found.status == "failed" and found.undone):
        yield Point("on_failure", "rolls back")
    asked = {plain(each.path) for each in found.asked if not each.by_policy}
    for full, state in found.states.items():
        path = plain(full)
        if path.startswith("on_failure/"):
            yield Point("on_failure", "runs")
        step = kinds.get(path)
        if step is None:
            continue
        yield from _of_state(path, state, step, found.errors.get(full))
        if state not in _SKIPPED:
            if step.approve is not None and path not in asked and _changed(full, found.results):
                yield Point(path, "is not asked about")
            yield from _of_result(path, step, found.results.get(full))
    yield from _of_questions(found)


def _changed(path: str, results: Mapping[str, Any]) -> bool:
    """Whether something was changed there without a question: where nothing was to be changed, nobody would have been asked anyhow."""
    inside = (
        value
        for name, value in results.items()
        if name == path or name.startswith((f"{path}/", f"{path}["))
    )
    return any(isinstance(value, Mapping) and value.get("changed") is True for value in inside)


def _of_questions(found: Rehearsal) -> Iterator[Point]:
    for question in found.asked:
        path = plain(question.path)
        if question.by_policy:
            continue
        if question.form:
            yield Point(
                path, "is answered" if question.outcome == "approved" else "is not answered"
            )
            yield Point(path, "runs")
        else:
            yield Point(path, question.outcome)
            if question.escalated:
                yield Point(path, "escalated")


def _of_state(path: str, state: StepState, step: AnyStep, error: str | None) -> Iterator[Point]:
    if state in _SKIPPED:
        yield Point(path, "is skipped")
        return
    yield Point(path, "runs")
    if state in _FAILED or error is not None:
        yield Point(path, "fails and goes on" if step.on_error == "continue" else "fails")


def _of_result(path: str, step: AnyStep, result: Any) -> Iterator[Point]:
    told: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
    match step:
        case Choose() if "branch" in told:
            none = "takes otherwise" if step.otherwise else "takes no branch"
            yield Point(
                path, none if told["branch"] is None else f"takes branch {told['branch'] + 1}"
            )
        case Repeat() if "rounds" in told:
            yield from [Point(path, "is met")] if told["met"] else []
            yield from (
                [Point(path, "goes round again")] if told["rounds"] > 1 or not told["met"] else []
            )
        case Wait() if step.event is not None and "event" in told:
            yield Point(path, "no event came" if told["event"] is None else "an event came")
        case _:
            return


def steps_of(plan: Plan) -> Iterator[tuple[str, AnyStep]]:
    """Every step of a plan with its path, loops without their rounds; those of called playbooks included."""
    yield from _walk(plan.steps, "")
    if not isinstance(plan.on_failure, str):
        yield from _walk(plan.on_failure, "on_failure/")


def _walk(steps: Iterable[AnyStep], prefix: str) -> Iterator[tuple[str, AnyStep]]:
    for step in steps:
        path = f"{prefix}{step.id}"
        yield path, step
        if not isinstance(step.on_error, str):
            yield from _walk(step.on_error, f"{path}:on_error/")
        match step:
            case Parallel() | ForEach() | Repeat():
                yield from _walk(step.steps, f"{path}/")
            case Choose():
                for branch in step.branches:
                    yield from _walk(branch.steps, f"{path}/")
                yield from _walk(step.otherwise, f"{path}/")
            case Call():
                yield from _walk(step.plan.steps, f"{path}/")
            case Ask() | Wait():
                pass
            case _:
                pass
