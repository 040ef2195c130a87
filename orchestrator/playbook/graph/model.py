"""The picture of a playbook: its steps as boxes and lanes, with their results in a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, assert_never

from orchestrator.domain.change import Effect
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import StepState
from orchestrator.playbook.language.durations import format_duration
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
    StepBlock,
    Use,
    Wait,
    without_rounds,
)

Outcome = Literal[
    "applied",
    "read",
    "skipped",
    "undetermined",
    "refused",
    "failed",
    "undone",
    "waiting",
    "not_reached",
]

_OUTCOMES: Mapping[str, Outcome] = {
    StepState.DONE: "read",
    StepState.VERIFIED: "applied",
    StepState.APPLIED: "applied",
    StepState.INTENDED: "waiting",
    StepState.RUNNING: "waiting",
    StepState.PLANNED: "waiting",
    StepState.WAITING: "waiting",
    StepState.SKIPPED: "skipped",
    StepState.INTERRUPTED: "not_reached",
    StepState.UNDETERMINED: "undetermined",
    StepState.DECLINED: "refused",
    StepState.REFUSED: "refused",
    StepState.FAILED: "failed",
    StepState.UNDONE: "undone",
    StepState.RELEASED: "undone",
}


class StepResult(Frozen):
    """The result of a step in a run. For a step in a loop, that of all its rounds."""

    outcome: Outcome
    states: dict[str, int]
    summary: str = ""


class Lane(Frozen):
    """Steps in sequence, with a label for what leads to them: a condition, a failure."""

    label: str | None = None
    nodes: tuple[Node, ...] = ()


class Node(Frozen):
    """A step."""

    path: str
    title: str
    kind: str
    details: tuple[str, ...] = ()  # lines below the title
    effect: Effect | None = None
    when: str | None = None
    approval: str | None = None
    lease: str | None = None
    undo: bool = False
    lanes: tuple[Lane, ...] = ()  # its inner steps, side by side
    on_error: Lane | None = None
    result: StepResult | None = None  # None without a run


class Graph(Frozen):
    """The picture of a playbook, or of one run of it."""

    title: str
    playbook: str
    version: int
    trigger: str | None
    nodes: tuple[Node, ...]
    on_failure: Lane | None
    run: str | None = None  # its id and status


def graph_of(plan: Plan, run: Mapping[str, Any] | None = None) -> Graph:
    """Return the picture of a plan, with the results of a run as the API shows it, if given."""
    drawing = _GraphBuilder(_results(run["steps"]) if run is not None else None)
    failure: Lane | None = None
    if plan.on_failure == "roll_back":
        failure = Lane(label="on failure: undo the changes of this run, newest first")
    elif plan.failure_steps:
        failure = Lane(label="on failure", nodes=drawing.nodes(plan.failure_steps, "on_failure/"))
    return Graph(
        title=plan.title,
        playbook=plan.playbook,
        version=plan.version,
        trigger=plan.trigger.when if plan.trigger else None,
        nodes=drawing.nodes(plan.steps, ""),
        on_failure=failure,
        run=None
        if run is None
        else f"{run['id']}: {run['status']}" + (f" ({run['error']})" if run.get("error") else ""),
    )


class _GraphBuilder:
    """A builder of nodes, with the results of a run by path without rounds, if one is shown."""

    def __init__(self, results: Mapping[str, StepResult] | None) -> None:
        self._results = results

    def nodes(self, steps: Iterable[AnyStep], prefix: str) -> tuple[Node, ...]:
        return tuple(self._node(step, prefix) for step in steps)

    def _node(self, step: AnyStep, prefix: str) -> Node:
        path = f"{prefix}{step.id}"
        lanes = tuple(
            lane
            for block in step.blocks()
            if block.kind is not BlockKind.ON_ERROR
            for lane in self._lanes(step, block, path)
        )
        result = None
        if self._results is not None:
            result = self._results.get(path, StepResult(outcome="not_reached", states={}))
        node = Node(
            path=path,
            title=step.id,
            kind=step.kind,
            when=step.when,
            approval=_approval(step.approve) if step.approve else None,
            lanes=lanes,
            on_error=self._on_error(step, path),
            result=result,
        )
        return node.model_copy(update=_own(step))

    def _on_error(self, step: AnyStep, path: str) -> Lane | None:
        if step.on_error == "continue":
            return Lane(label="on error: continue")
        for block in step.blocks():
            if block.kind is BlockKind.ON_ERROR:
                return Lane(label="on error", nodes=self.nodes(block.steps, block.prefix(path)))
        return None

    def _lanes(self, step: AnyStep, block: StepBlock, path: str) -> Iterator[Lane]:
        nodes = self.nodes(block.steps, block.prefix(path))
        match block.kind:
            case BlockKind.PARALLEL:
                yield from (Lane(nodes=(node,)) for node in nodes)
            case BlockKind.BRANCH if isinstance(step, Choose):
                yield Lane(label=f"when {step.branches[block.index].when}", nodes=nodes)
            case BlockKind.OTHERWISE:
                yield Lane(label="otherwise", nodes=nodes)
            case BlockKind.CALLED_ON_FAILURE:
                yield from [Lane(label="on failure", nodes=nodes)] if nodes else []
            case _:
                yield Lane(nodes=nodes)


def _own(step: AnyStep) -> dict[str, Any]:
    """Return the fields of the node that only this kind of step has."""
    match step:
        case Use():
            lease = None if step.hold is None else f"for {_time(step.hold)}"
            if step.effect is Effect.CONTAIN and lease is None:
                lease = "until lifted"
            return {
                "effect": step.effect,
                "lease": lease,
                "undo": step.effect in {Effect.CONTAIN, Effect.RESTORE},
                "details": (f"{step.connection}.{step.action}", *_inputs(step.inputs)),
            }
        case Parallel() | Choose():
            return {}
        case ForEach():
            return _details(f"for each {step.name} of {step.items}, at most {step.at_most}")
        case Repeat():
            rounds = f"at most {step.at_most} times, every {_time(step.every)}"
            return _details(f"until {step.until}, {rounds}")
        case CallPlaybook():
            return _details(f"{step.plan.playbook} version {step.plan.version}")
        case Wait() if step.event:
            return _details(
                f"wait for an alert with {step.event}, {_time(step.within or 0)} at most"
            )
        case Wait():
            return _details(f"wait for {_time(step.seconds)}")
        case Ask():
            who = step.by or "anyone who may decide"
            return {**_details(step.question), "approval": f"{who} fills in {', '.join(step.form)}"}
        case _:
            assert_never(step)


def _details(line: str) -> dict[str, Any]:
    return {"details": (line,)}


def _approval(approve: Approve) -> str:
    who = approve.by or "anyone who may decide"
    count = f"{approve.quorum} of " if approve.quorum > 1 else ""
    when = f", when {approve.when}" if approve.when else ""
    return f"{count}{who} within {_time(approve.within)}, otherwise {approve.otherwise}{when}"


def _inputs(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the first inputs as the author wrote them."""
    return tuple(
        f"{name}: {value}"
        for name, value in inputs.items()
        if isinstance(value, str) and "\n" not in value
    )[:2]


def _time(seconds: Any) -> str:
    return format_duration(seconds) if isinstance(seconds, int) else str(seconds)


def _results(steps: Iterable[Mapping[str, Any]]) -> dict[str, StepResult]:
    rounds: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        rounds.setdefault(without_rounds(str(step["id"])), []).append(step)
    return {path: _merge(steps_of_path) for path, steps_of_path in rounds.items()}


_WORST: tuple[Outcome, ...] = (
    "failed",
    "refused",
    "waiting",
    "undone",
    "applied",
    "read",
    "undetermined",
    "skipped",
)


def _merge(rounds: list[Mapping[str, Any]]) -> StepResult:
    states = Counter(str(step["state"]) for step in rounds)
    outcomes = {_OUTCOMES.get(state, "waiting") for state in states}
    last = rounds[-1]
    planned_change = last.get("planned_change") or {}
    summary = planned_change.get("summary") if isinstance(planned_change, Mapping) else None
    return StepResult(
        outcome=next(each for each in _WORST if each in outcomes),
        states=dict(states),
        summary=str(last.get("error") or summary or ""),
    )


Lane.model_rebuild()
Node.model_rebuild()
Graph.model_rebuild()
