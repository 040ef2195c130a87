"""What of a playbook can its tests reach? Every step, both sides of every condition, every answer of people, every way out of a failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.playbook.plan import (
    AnyStep,
    Approve,
    Ask,
    Call,
    Choose,
    ForEach,
    Parallel,
    Plan,
    Repeat,
    Use,
    Wait,
)


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to reach. `path`: of the step (loops without their rounds), or `trigger`, `on_failure`; `what`: which side of it."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def points(plan: Plan) -> list[Point]:
    """All of them, in the order of the playbook."""
    found = (
        [Point("trigger", "fits"), Point("trigger", "does not fit")]
        if plan.trigger is not None
        else []
    )
    found += _of(plan.steps, "")
    if plan.on_failure == "roll_back":
        found.append(Point("on_failure", "rolls back"))
    elif plan.on_failure != "stop":
        found += [Point("on_failure", "runs"), *_of(plan.on_failure, "on_failure/")]
    return list(dict.fromkeys(found))


def _of(steps: Iterable[AnyStep], prefix: str) -> Iterator[Point]:
    for step in steps:
        path = f"{prefix}{step.id}"
        yield Point(path, "runs")
        if step.when is not None:
            yield Point(path, "is skipped")
        if step.approve is not None:
            yield from _approval(path, step.approve)
        if step.on_error == "continue":
            yield Point(path, "fails and goes on")
        elif step.on_error != "fail":
            yield Point(path, "fails")
            yield from _of(step.on_error, f"{path}:on_error/")
        yield from _own(step, path)


def _approval(path: str, approve: Approve) -> Iterator[Point]:
    if approve.when is not None:
        yield Point(path, "is not asked about")
    for outcome in ("approved", "declined", "expired"):
        yield Point(path, outcome)
    if approve.otherwise == "escalate":
        yield Point(path, "escalated")


def _own(step: AnyStep, path: str) -> Iterator[Point]:
    inside = f"{path}/"
    match step:
        case Parallel() | ForEach():
            yield from _of(step.steps, inside)
        case Choose():
            for number, branch in enumerate(step.branches):
                yield Point(path, f"takes branch {number + 1}")
                yield from _of(branch.steps, inside)
            yield Point(path, "takes no branch" if not step.otherwise else "takes otherwise")
            yield from _of(step.otherwise, inside)
        case Repeat():
            yield from (Point(path, "is met"), Point(path, "goes round again"))
            yield from _of(step.steps, inside)
        case Ask():
            yield from (Point(path, "is answered"), Point(path, "is not answered"))
        case Wait():
            if step.event is not None:
                yield from (Point(path, "an event came"), Point(path, "no event came"))
        case Call():
            yield from _of(step.plan.steps, inside)
        case Use():
            return
