"""What changed in a step that is there before and after: field by field, so that none goes untold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.compile.steps import inside
from orchestrator.playbook.diff.conditions import Reach, compared
from orchestrator.playbook.diff.model import Change, Danger, length, quoted

_STEPS = frozenset({"id", "kind", "steps"})  # told of one by one
_APPROVAL = frozenset({"when", "quorum", "by", "otherwise", "escalate_to", "within", "question"})
_TARGETED = frozenset({Effect.CONTAIN, Effect.RESTORE, Effect.DESTROY})


def step_changes(a: plan.AnyStep, b: plan.AnyStep) -> Iterator[Change]:
    """What changed, but for the steps inside."""
    if type(a) is not type(b):
        yield _change(b, Danger.CHANGED, "step", f"was {a.kind}, and is now {b.kind}")
        return
    if (
        isinstance(a, plan.Use)
        and isinstance(b, plan.Use)
        and (a.connection, a.action) != (b.connection, b.action)
    ):
        danger = Danger.WIDER if b.effect in _TARGETED else Danger.CHANGED
        yield _change(
            b,
            danger,
            "effect",
            f"calls {b.connection}.{b.action} now, not {a.connection}.{a.action}",
        )
    for name in type(b).model_fields:
        before, after = getattr(a, name), getattr(b, name)
        if name not in _STEPS and before != after:
            yield from _TOLD.get(name, _otherwise(name))(b, before, after)


def _change(step: plan.AnyStep, danger: Danger, kind: str, what: str) -> Change:
    return Change(danger=danger, kind=kind, step=step.id, sentence=f"step {step.id} {what}")


Told = Callable[[Any, Any, Any], Iterator[Change]]


def _otherwise(name: str) -> Told:
    """Any field of which nothing more is known."""

    def told(step: plan.AnyStep, before: Any, after: Any) -> Iterator[Change]:
        said = name.replace("_", " ")
        yield _change(
            step, Danger.CHANGED, "step", f"has {said} {quoted(after)} now, not {quoted(before)}"
        )

    return told


def _when(step: plan.AnyStep, before: str | None, after: str | None) -> Iterator[Change]:
    acts = _acts(step)
    if after is None:
        yield _change(
            step,
            Danger.GRAVE if acts else Danger.CHANGED,
            "target",
            f"runs always now, not only when {quoted(before)}",
        )
    elif before is None:
        yield _change(
            step,
            Danger.SAFER if acts else Danger.CHANGED,
            "target",
            f"runs only when {quoted(after)} now",
        )
    else:
        reach = compared(before, after)
        danger = (
            {Reach.WIDER: Danger.WIDER, Reach.NARROWER: Danger.SAFER, Reach.OTHER: Danger.WIDER}[
                reach
            ]
            if acts
            else Danger.CHANGED
        )
        yield _change(
            step,
            danger,
            "target",
            f"runs {reach.word}: when {quoted(after)}, not when {quoted(before)}",
        )


def _acts(step: plan.AnyStep) -> bool:
    if isinstance(step, plan.Use):
        return step.effect in _TARGETED
    return any(map(_acts, inside(step)))


def _inputs(
    step: plan.Use | plan.Call, before: dict[str, Any], after: dict[str, Any]
) -> Iterator[Change]:
    danger = Danger.WIDER if _acts(step) else Danger.CHANGED
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield _change(
                step,
                danger,
                "target",
                f"is no longer given {name}, which was {quoted(before[name])}",
            )
        elif name not in before:
            yield _change(step, danger, "target", f"is given {name} now: {quoted(after[name])}")
        elif before[name] != after[name]:
            yield _change(
                step,
                danger,
                "target",
                f"is given another {name}: {quoted(after[name])}, not {quoted(before[name])}",
            )


def _hold(step: plan.Use, before: Any, after: Any) -> Iterator[Change]:
    if after is None:
        yield _change(
            step,
            Danger.GRAVE,
            "lease",
            f"stays until it is lifted by hand now, not {length(before)}",
        )
    elif before is None:
        yield _change(
            step, Danger.SAFER, "lease", f"is lifted after {_for(after)} now, not by hand"
        )
    elif isinstance(before, int) and isinstance(after, int):
        danger, word = (Danger.WIDER, "longer") if after > before else (Danger.SAFER, "shorter")
        yield _change(step, danger, "lease", f"stays {word}: {length(after)}, not {length(before)}")
    else:
        yield _change(step, Danger.WIDER, "lease", f"stays {_for(after)}, not {_for(before)}")


def _for(hold: Any) -> str:
    return length(hold) if isinstance(hold, int) else quoted(hold)


def _effect(step: plan.Use, before: Effect, after: Effect) -> Iterator[Change]:
    danger = Danger.GRAVE if after in _TARGETED else Danger.CHANGED
    yield _change(step, danger, "effect", f"has the effect {after.value} now, not {before.value}")


def _approve(
    step: plan.AnyStep, before: plan.Approve | None, after: plan.Approve | None
) -> Iterator[Change]:
    if after is None:
        yield _change(step, Danger.GRAVE, "approval", "asks nobody any more")
    elif before is None:
        asks = f"when {quoted(after.when)}" if after.when else "always"
        yield _change(step, Danger.SAFER, "approval", f"asks for approval now, {asks}")
    else:
        yield from _approval(step, before, after)


def _approval(step: plan.AnyStep, a: plan.Approve, b: plan.Approve) -> Iterator[Change]:
    """Whoever may agree, how many, when, and what silence means."""

    def told(danger: Danger, what: str) -> Change:
        return _change(step, danger, "approval", what)

    if a.when != b.when:
        yield told(*_asked(a.when, b.when))
    if a.quorum != b.quorum:
        yield told(
            Danger.GRAVE if b.quorum < a.quorum else Danger.SAFER,
            f"needs {b.quorum} to agree now, not {a.quorum}",
        )
    if a.by != b.by:
        whom = f"by {quoted(b.by)}" if b.by else "by anyone with the permission"
        was = quoted(a.by) if a.by else "anyone with the permission"
        yield told(
            Danger.SAFER if a.by is None else Danger.GRAVE, f"is approved {whom} now, not by {was}"
        )
    if a.otherwise != b.otherwise or a.escalate_to != b.escalate_to:
        silence = f"asks {_whom(b.escalate_to)}" if b.otherwise == "escalate" else "stops"
        yield told(
            Danger.SAFER if b.otherwise == "stop" else Danger.WIDER,
            f"{silence} when nobody answers, which is new",
        )
    if a.within != b.within:
        yield told(
            Danger.CHANGED, f"waits {length(b.within)} for an answer now, not {length(a.within)}"
        )
    if a.question != b.question:
        yield told(Danger.CHANGED, f"asks {quoted(b.question)} now, not {quoted(a.question)}")
    for name in type(b).model_fields:
        was, now = getattr(a, name), getattr(b, name)
        if name not in _APPROVAL and was != now:
            yield told(
                Danger.WIDER,
                f"has {name.replace('_', ' ')} {quoted(now)} in its approval now, not {quoted(was)}",
            )


def _whom(groups: str | tuple[str, ...] | None) -> str:
    return " and then ".join(
        map(quoted, (groups,) if isinstance(groups, str) else groups or ("nobody",))
    )


def _asked(before: str | None, after: str | None) -> tuple[Danger, str]:
    if after is None:
        return Danger.SAFER, f"asks for approval always now, not only when {quoted(before)}"
    if before is None:
        return Danger.GRAVE, f"asks for approval only when {quoted(after)} now, not always"
    reach = compared(before, after)
    danger = Danger.SAFER if reach is Reach.WIDER else Danger.GRAVE
    return (
        danger,
        f"asks for approval {reach.word}: when {quoted(after)}, not when {quoted(before)}",
    )


def _at_most(step: plan.AnyStep, before: int, after: int) -> Iterator[Change]:
    danger = Danger.SAFER if after < before else Danger.WIDER if _acts(step) else Danger.CHANGED
    yield _change(step, danger, "target", f"works on at most {after} now, not {before}")


def _items(step: plan.ForEach, before: Any, after: Any) -> Iterator[Change]:
    yield _change(
        step,
        Danger.WIDER if _acts(step) else Danger.CHANGED,
        "target",
        f"works on {quoted(after)} now, not {quoted(before)}",
    )


def _on_error(step: plan.AnyStep, before: Any, after: Any) -> Iterator[Change]:
    words = [each if isinstance(each, str) else "its own steps" for each in (before, after)]
    if words[0] != words[1]:  # what is in the steps is told of them
        yield _change(
            step, Danger.CHANGED, "undo", f"answers its failure with: {words[1]}, not: {words[0]}"
        )


def _timeout(step: plan.AnyStep, before: int | None, after: int | None) -> Iterator[Change]:
    now, was = (length(each) if each is not None else "without limit" for each in (after, before))
    yield _change(step, Danger.CHANGED, "limit", f"may take {now} now, not {was}")


def _branches(
    step: plan.Choose, before: tuple[plan.Branch, ...], after: tuple[plan.Branch, ...]
) -> Iterator[Change]:
    was, now = ([branch.when for branch in branches] for branches in (before, after))
    if was != now:
        danger = Danger.WIDER if _acts(step) else Danger.CHANGED
        yield _change(
            step,
            danger,
            "target",
            f"chooses by {', '.join(map(quoted, now))} now, not by {', '.join(map(quoted, was))}",
        )


def _called(step: plan.Call, before: plan.Plan, after: plan.Plan) -> Iterator[Change]:
    names = [f"{each.playbook}@{each.version}" for each in (before, after)]
    what = (
        f"calls {names[1]} now, not {names[0]}"
        if names[0] != names[1]
        else f"calls {names[1]}, which has other content now"
    )
    yield _change(step, Danger.WIDER if _acts(step) else Danger.CHANGED, "step", what)


def _nothing(*_: Any) -> Iterator[Change]:
    """Told elsewhere."""
    return iter(())


_TOLD: dict[str, Told] = {
    "when": _when,
    "inputs": _inputs,
    "hold": _hold,
    "effect": _effect,
    "approve": _approve,
    "at_most": _at_most,
    "items": _items,
    "on_error": _on_error,
    "timeout": _timeout,
    "branches": _branches,
    "plan": _called,
    "otherwise": lambda step, a, b: (
        _nothing() if isinstance(step, plan.Choose) else _otherwise("otherwise")(step, a, b)
    ),
    "connection": _nothing,
    "action": _nothing,
}
