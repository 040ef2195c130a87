"""Coverage of a playbook: the points that its tests can reach, and those that they reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from orchestrator.authoring.rehearsal.result import Rehearsal
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import StepState
from orchestrator.playbook.plan import (
    AnyStep,
    Approve,
    Ask,
    BlockKind,
    CallPlaybook,
    Choose,
    ForEach,
    Parallel,
    Plan,
    Repeat,
    Use,
    Wait,
    without_rounds,
)

_CALLED = {BlockKind.CALLED, BlockKind.CALLED_ON_FAILURE}
_SKIPPED = {StepState.SKIPPED, StepState.INTERRUPTED, StepState.UNDETERMINED}
_FAILED = {StepState.FAILED, StepState.REFUSED, StepState.DECLINED}


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that a test can reach: one side of a condition, one answer, one way to fail."""

    path: str  # of the step, loops without their rounds; or `trigger`, `on_failure`
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class PointCoverage(Frozen):
    """One point of the playbook, and whether a test reached it."""

    path: str
    what: str
    reached: bool


class Coverage(Frozen):
    """All points of a playbook."""

    points: tuple[PointCoverage, ...]

    @property
    def percent(self) -> float:
        """The share of points that were reached; 100 for a playbook without points."""
        return (
            100.0 * sum(each.reached for each in self.points) / len(self.points)
            if self.points
            else 100.0
        )

    @property
    def missing(self) -> tuple[PointCoverage, ...]:
        """The points that no test reached."""
        return tuple(each for each in self.points if not each.reached)


def measure_coverage(plan: Plan, rehearsals: Iterable[Rehearsal]) -> Coverage:
    """Return what rehearsals of a plan reached together."""
    steps = dict(_own_steps(plan))
    reached: set[Point] = set()
    for each in rehearsals:
        reached.update(_reached(each, steps))
    return Coverage(
        points=tuple(
            PointCoverage(path=each.path, what=each.what, reached=each in reached)
            for each in points(plan)
        )
    )


def points(plan: Plan) -> list[Point]:
    """Return all points of a plan, in the order of the playbook."""
    found = (
        [Point("trigger", "fits"), Point("trigger", "does not fit")]
        if plan.trigger is not None
        else []
    )
    found += [point for path, step in _own_steps(plan) for point in _points_of_step(path, step)]
    if plan.on_failure == "roll_back":
        found.append(Point("on_failure", "rolls back"))
    elif plan.on_failure != "stop":
        found.append(Point("on_failure", "runs"))
    return list(dict.fromkeys(found))


def _own_steps(plan: Plan) -> Iterator[tuple[str, AnyStep]]:
    """Yield the playbook's steps as `walk` does; a called playbook's are for its own tests."""
    yield from _own(plan.steps, "")
    yield from _own(plan.failure_steps, "on_failure/")


def _own(steps: Iterable[AnyStep], prefix: str) -> Iterator[tuple[str, AnyStep]]:
    for step in steps:
        path = f"{prefix}{step.id}"
        yield path, step
        for block in step.blocks():
            if block.kind not in _CALLED:
                yield from _own(block.steps, block.prefix(path))


def _points_of_step(path: str, step: AnyStep) -> Iterator[Point]:
    yield Point(path, "runs")
    if step.when is not None:
        yield Point(path, "is skipped")
    if step.approve is not None:
        yield from _points_of_approval(path, step.approve)
    if step.on_error == "continue":
        yield Point(path, "fails and goes on")
    elif step.on_error != "fail":
        yield Point(path, "fails")
    yield from _points_of_kind(path, step)


def _points_of_approval(path: str, approve: Approve) -> Iterator[Point]:
    if approve.when is not None:
        yield Point(path, "is not asked about")
    for outcome in ("approved", "declined", "expired"):
        yield Point(path, outcome)
    if approve.otherwise == "escalate":
        yield Point(path, "escalated")


def _points_of_kind(path: str, step: AnyStep) -> Iterator[Point]:
    match step:
        case Choose():
            for number in range(len(step.branches)):
                yield Point(path, f"takes branch {number + 1}")
            yield Point(path, "takes no branch" if not step.otherwise else "takes otherwise")
        case Repeat():
            yield from (Point(path, "is met"), Point(path, "goes round again"))
        case Ask():
            yield from (Point(path, "is answered"), Point(path, "is not answered"))
        case Wait():
            if step.event is not None:
                yield from (Point(path, "an event came"), Point(path, "no event came"))
        case Use() | Parallel() | ForEach() | CallPlaybook():
            return
        case _:
            assert_never(step)


def _reached(found: Rehearsal, steps: Mapping[str, AnyStep]) -> Iterator[Point]:
    if found.status is None:
        yield Point("trigger", "does not fit")
        return
    yield Point("trigger", "fits")
    if found.status == "rolled_back" or (found.status == "failed" and found.undone):
        yield Point("on_failure", "rolls back")
    asked = {without_rounds(each.path) for each in found.asked if not each.by_policy}
    for full, state in found.states.items():
        path = without_rounds(full)
        if path.startswith("on_failure/"):
            yield Point("on_failure", "runs")
        step = steps.get(path)
        if step is None:
            continue
        yield from _reached_by_state(path, state, step, found.errors.get(full))
        if state not in _SKIPPED:
            if step.approve is not None and path not in asked and _is_changed(full, found.results):
                yield Point(path, "is not asked about")
            yield from _reached_by_result(path, step, found.results.get(full))
    yield from _reached_by_questions(found)


def _is_changed(path: str, results: Mapping[str, Any]) -> bool:
    """Return whether the step changed something: without a change, no one would be asked."""
    inside = (
        value
        for name, value in results.items()
        if name == path or name.startswith((f"{path}/", f"{path}["))
    )
    return any(isinstance(value, Mapping) and value.get("changed") is True for value in inside)


def _reached_by_questions(found: Rehearsal) -> Iterator[Point]:
    for question in found.asked:
        path = without_rounds(question.path)
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


def _reached_by_state(
    path: str, state: StepState, step: AnyStep, error: str | None
) -> Iterator[Point]:
    if state in _SKIPPED:
        yield Point(path, "is skipped")
        return
    yield Point(path, "runs")
    if state in _FAILED or error is not None:
        yield Point(path, "fails and goes on" if step.on_error == "continue" else "fails")


def _reached_by_result(path: str, step: AnyStep, result: Any) -> Iterator[Point]:
    data: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
    if isinstance(step, Choose) and "branch" in data:
        none = "takes otherwise" if step.otherwise else "takes no branch"
        yield Point(path, none if data["branch"] is None else f"takes branch {data['branch'] + 1}")
    if isinstance(step, Repeat) and "rounds" in data:
        if data["met"]:
            yield Point(path, "is met")
        if data["rounds"] > 1 or not data["met"]:
            yield Point(path, "goes round again")
    if isinstance(step, Wait) and step.event is not None and "event" in data:
        yield Point(path, "no event came" if data["event"] is None else "an event came")
