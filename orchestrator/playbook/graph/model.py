"""What is there to be seen of a playbook? Its steps as a tree of boxes and lanes, and of a run what became of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from orchestrator.domain.change import Effect
from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.durations import spelled
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

Outcome = Literal[
    "made", "read", "skipped", "refused", "failed", "taken_back", "waiting", "not_reached"
]

_OUTCOMES: dict[str, Outcome] = {
    "done": "read",
    "verified": "made",
    "applied": "made",
    "intended": "waiting",
    "planned": "waiting",
    "waiting": "waiting",
    "skipped": "skipped",
    "declined": "refused",
    "refused": "refused",
    "failed": "failed",
    "undone": "taken_back",
    "released": "taken_back",
}


class Happened(Frozen):
    """What became of a step in a run; of one inside a loop, of all its rounds together."""

    outcome: Outcome
    states: dict[str, int]
    summary: str = ""


class Lane(Frozen):
    """Steps one after the other, with what leads to them: a condition, an item, a failure."""

    label: str | None = None
    nodes: tuple[Node, ...] = ()


class Node(Frozen):
    """One step. `lanes`: the steps inside it, side by side; `details`: short lines below its name."""

    path: str
    title: str
    kind: str
    details: tuple[str, ...] = ()
    effect: Effect | None = None
    when: str | None = None
    approval: str | None = None
    lease: str | None = None
    undo: bool = False
    lanes: tuple[Lane, ...] = ()
    on_error: Lane | None = None
    happened: Happened | None = None


class Graph(Frozen):
    """A whole playbook; with `run` the picture of one run."""

    title: str
    playbook: str
    version: int
    trigger: str | None
    nodes: tuple[Node, ...]
    on_failure: Lane | None
    run: str | None = None


def graph_of(plan: Plan, run: Mapping[str, Any] | None = None) -> Graph:
    """The picture of a plan; `run`: a run as `runs.query.get_run` tells it, with its steps."""
    happened = _happened(run["steps"]) if run is not None else None
    drawing = _Drawing(happened)
    failure: Lane | None = None
    if plan.on_failure == "roll_back":
        failure = Lane(label="on failure: take back what this run changed, newest first")
    elif plan.on_failure != "stop":
        failure = Lane(label="on failure", nodes=drawing.nodes(plan.on_failure, "on_failure/"))
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


class _Drawing:
    """`happened`: by path without rounds; None where no run is shown."""

    def __init__(self, happened: Mapping[str, Happened] | None) -> None:
        self._happened = happened

    def nodes(self, steps: Iterable[AnyStep], prefix: str) -> tuple[Node, ...]:
        return tuple(self._node(step, prefix) for step in steps)

    def _node(self, step: AnyStep, prefix: str) -> Node:
        path = f"{prefix}{step.id}"
        on_error: Lane | None = None
        if step.on_error == "continue":
            on_error = Lane(label="on error: goes on")
        elif step.on_error != "fail":
            on_error = Lane(label="on error", nodes=self.nodes(step.on_error, f"{path}:on_error/"))
        happened = (
            None
            if self._happened is None
            else self._happened.get(path, Happened(outcome="not_reached", states={}))
        )
        node = Node(
            path=path,
            title=step.id,
            kind=step.kind,
            when=step.when,
            approval=_approval(step.approve) if step.approve else None,
            on_error=on_error,
            happened=happened,
        )
        return node.model_copy(update=self._own(step, f"{path}/"))

    def _own(self, step: AnyStep, inside: str) -> dict[str, Any]:
        """What only this kind of step has."""
        match step:
            case Use():
                lease = None if step.hold is None else f"for {_time(step.hold)}"
                contains = step.effect is Effect.CONTAIN
                if contains and lease is None:
                    lease = "until lifted"
                details = (f"{step.connection}.{step.action}", *_inputs(step.inputs))
                return {
                    "effect": step.effect,
                    "lease": lease,
                    "undo": step.effect in {Effect.CONTAIN, Effect.RESTORE},
                    "details": details,
                }
            case Parallel():
                return {
                    "lanes": tuple(Lane(nodes=(node,)) for node in self.nodes(step.steps, inside))
                }
            case Choose():
                lanes = [
                    Lane(label=f"when {branch.when}", nodes=self.nodes(branch.steps, inside))
                    for branch in step.branches
                ]
                return {
                    "lanes": (
                        *lanes,
                        Lane(label="otherwise", nodes=self.nodes(step.otherwise, inside)),
                    )
                }
            case ForEach():
                about = f"for each {step.name} of {step.items}, at most {step.at_most}"
                return {"lanes": (Lane(nodes=self.nodes(step.steps, inside)),), "details": (about,)}
            case Repeat():
                about = (
                    f"until {step.until}, at most {step.at_most} times, every {_time(step.every)}"
                )
                return {"lanes": (Lane(nodes=self.nodes(step.steps, inside)),), "details": (about,)}
            case Call():
                about = f"{step.plan.playbook} version {step.plan.version}"
                return {
                    "lanes": (Lane(nodes=self.nodes(step.plan.steps, inside)),),
                    "details": (about,),
                }
            case Wait():
                what = (
                    f"an alert with {step.event}, {_time(step.within or 0)} at most"
                    if step.event
                    else _time(step.seconds)
                )
                return {"details": (f"wait for {what}",)}
            case Ask():
                return {
                    "details": (step.question,),
                    "approval": f"{step.by or 'anyone who may decide'} fills in {', '.join(step.form)}",
                }


def _approval(approve: Approve) -> str:
    who = approve.by or "anyone who may decide"
    count = f"{approve.quorum} of " if approve.quorum > 1 else ""
    when = f", when {approve.when}" if approve.when else ""
    return f"{count}{who} within {_time(approve.within)}, otherwise {approve.otherwise}{when}"


def _inputs(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """The first few, as they are written."""
    return tuple(
        f"{name}: {value}"
        for name, value in inputs.items()
        if isinstance(value, str) and "\n" not in value
    )[:2]


def _time(seconds: Any) -> str:
    return spelled(seconds) if isinstance(seconds, int) else str(seconds)


def _happened(steps: Iterable[Mapping[str, Any]]) -> dict[str, Happened]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        found.setdefault(re.sub(r"\[\d+\+?\]", "", str(step["id"])), []).append(step)
    return {path: _together(rounds) for path, rounds in found.items()}


_WORST: tuple[Outcome, ...] = (
    "failed",
    "refused",
    "waiting",
    "taken_back",
    "made",
    "read",
    "skipped",
)


def _together(rounds: list[Mapping[str, Any]]) -> Happened:
    states = Counter(str(step["state"]) for step in rounds)
    outcomes = {_OUTCOMES.get(state, "waiting") for state in states}
    last = rounds[-1]
    planned_change = last.get("planned_change") or {}
    told = (
        last.get("error")
        or (planned_change.get("summary") if isinstance(planned_change, Mapping) else None)
        or ""
    )
    return Happened(
        outcome=next(each for each in _WORST if each in outcomes),
        states=dict(states),
        summary=str(told),
    )


Lane.model_rebuild()
Node.model_rebuild()
Graph.model_rebuild()
