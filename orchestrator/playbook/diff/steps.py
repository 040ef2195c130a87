"""Differences in a step of both plans, field by field, so that none is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.diff.approvals import compare_approvals
from orchestrator.playbook.diff.conditions import ConditionChange, compare_conditions
from orchestrator.playbook.diff.model import Danger, DiffEntry, duration_text, quote, step_entry

_STEPS = frozenset({"id", "kind", "steps"})  # compared one by one
_TARGETED = frozenset({Effect.CONTAIN, Effect.RESTORE, Effect.DESTROY})


def diff_steps(a: plan.AnyStep, b: plan.AnyStep) -> Iterator[DiffEntry]:
    """Yield the differences of a step, without those of its inner steps."""
    if type(a) is not type(b):
        yield step_entry(b, Danger.CHANGED, "step", f"is now {b.kind}, not {a.kind}")
        return
    if (
        isinstance(a, plan.Use)
        and isinstance(b, plan.Use)
        and (a.connection, a.action) != (b.connection, b.action)
    ):
        danger = Danger.WIDER if b.effect in _TARGETED else Danger.CHANGED
        yield step_entry(
            b,
            danger,
            "effect",
            f"now calls {b.connection}.{b.action}, not {a.connection}.{a.action}",
        )
    for name in type(b).model_fields:
        before, after = getattr(a, name), getattr(b, name)
        if name not in _STEPS and before != after:
            yield from _COMPARERS.get(name, _any_field(name))(b, before, after)


Comparer = Callable[[Any, Any, Any], Iterator[DiffEntry]]


def _any_field(name: str) -> Comparer:
    """Return the comparer of a field without one of its own."""

    def compare(step: plan.AnyStep, before: Any, after: Any) -> Iterator[DiffEntry]:
        label = name.replace("_", " ")
        yield step_entry(
            step, Danger.CHANGED, "step", f"now has {label} {quote(after)}, not {quote(before)}"
        )

    return compare


def _when(step: plan.AnyStep, before: str | None, after: str | None) -> Iterator[DiffEntry]:
    acts = _acts(step)
    if after is None:
        yield step_entry(
            step,
            Danger.GRAVE if acts else Danger.CHANGED,
            "target",
            f"now always runs, not only when {quote(before)}",
        )
    elif before is None:
        yield step_entry(
            step,
            Danger.SAFER if acts else Danger.CHANGED,
            "target",
            f"now runs only when {quote(after)}",
        )
    else:
        reach = compare_conditions(before, after)
        danger = (
            {
                ConditionChange.WIDER: Danger.WIDER,
                ConditionChange.NARROWER: Danger.SAFER,
                ConditionChange.OTHER: Danger.WIDER,
            }[reach]
            if acts
            else Danger.CHANGED
        )
        yield step_entry(
            step,
            danger,
            "target",
            f"runs {reach.word}: when {quote(after)}, not when {quote(before)}",
        )


def _acts(step: plan.AnyStep) -> bool:
    return any(
        isinstance(each, plan.Use) and each.effect in _TARGETED
        for _, each in plan.walk_steps([step])
    )


def _inputs(
    step: plan.Use | plan.CallPlaybook, before: dict[str, Any], after: dict[str, Any]
) -> Iterator[DiffEntry]:
    danger = Danger.WIDER if _acts(step) else Danger.CHANGED
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield step_entry(
                step,
                danger,
                "target",
                f"no longer has the input {name}, which was {quote(before[name])}",
            )
        elif name not in before:
            yield step_entry(
                step, danger, "target", f"now has the input {name}: {quote(after[name])}"
            )
        elif before[name] != after[name]:
            yield step_entry(
                step,
                danger,
                "target",
                f"has another {name}: {quote(after[name])}, not {quote(before[name])}",
            )


def _hold(step: plan.Use, before: Any, after: Any) -> Iterator[DiffEntry]:
    if after is None:
        yield step_entry(
            step,
            Danger.GRAVE,
            "lease",
            f"now lasts until it is lifted by hand, not {duration_text(before)}",
        )
    elif before is None:
        yield step_entry(
            step, Danger.SAFER, "lease", f"is now lifted after {_for(after)}, not by hand"
        )
    elif isinstance(before, int) and isinstance(after, int):
        danger, word = (Danger.WIDER, "longer") if after > before else (Danger.SAFER, "shorter")
        yield step_entry(
            step,
            danger,
            "lease",
            f"lasts {word}: {duration_text(after)}, not {duration_text(before)}",
        )
    else:
        yield step_entry(step, Danger.WIDER, "lease", f"lasts {_for(after)}, not {_for(before)}")


def _for(hold: Any) -> str:
    return duration_text(hold) if isinstance(hold, int) else quote(hold)


def _effect(step: plan.Use, before: Effect, after: Effect) -> Iterator[DiffEntry]:
    danger = Danger.GRAVE if after in _TARGETED else Danger.CHANGED
    yield step_entry(
        step, danger, "effect", f"now has the effect {after.value}, not {before.value}"
    )


def _at_most(step: plan.AnyStep, before: int, after: int) -> Iterator[DiffEntry]:
    danger = Danger.SAFER if after < before else Danger.WIDER if _acts(step) else Danger.CHANGED
    yield step_entry(step, danger, "target", f"now runs at most {after} times, not {before}")


def _items(step: plan.ForEach, before: Any, after: Any) -> Iterator[DiffEntry]:
    yield step_entry(
        step,
        Danger.WIDER if _acts(step) else Danger.CHANGED,
        "target",
        f"now runs for {quote(after)}, not {quote(before)}",
    )


def _on_error(step: plan.AnyStep, before: Any, after: Any) -> Iterator[DiffEntry]:
    words = [each if isinstance(each, str) else "its own steps" for each in (before, after)]
    if words[0] != words[1]:  # the steps themselves are compared one by one
        yield step_entry(
            step,
            Danger.CHANGED,
            "undo",
            f"now responds to its failure with: {words[1]}, not: {words[0]}",
        )


def _timeout(step: plan.AnyStep, before: int | None, after: int | None) -> Iterator[DiffEntry]:
    now, was = (
        duration_text(each) if each is not None else "without limit" for each in (after, before)
    )
    yield step_entry(step, Danger.CHANGED, "limit", f"may now take {now}, not {was}")


def _branches(
    step: plan.Choose, before: tuple[plan.Branch, ...], after: tuple[plan.Branch, ...]
) -> Iterator[DiffEntry]:
    was, now = ([branch.when for branch in branches] for branches in (before, after))
    if was != now:
        danger = Danger.WIDER if _acts(step) else Danger.CHANGED
        yield step_entry(
            step,
            danger,
            "target",
            f"now chooses by {', '.join(map(quote, now))}, not by {', '.join(map(quote, was))}",
        )


def _called(step: plan.CallPlaybook, before: plan.Plan, after: plan.Plan) -> Iterator[DiffEntry]:
    names = [f"{each.playbook}@{each.version}" for each in (before, after)]
    what = (
        f"now calls {names[1]}, not {names[0]}"
        if names[0] != names[1]
        else f"calls {names[1]}, whose content changed"
    )
    yield step_entry(step, Danger.WIDER if _acts(step) else Danger.CHANGED, "step", what)


def _nothing(*_: Any) -> Iterator[DiffEntry]:
    """Yield nothing: another comparer covers the field."""
    return iter(())


_COMPARERS: dict[str, Comparer] = {
    "when": _when,
    "inputs": _inputs,
    "hold": _hold,
    "effect": _effect,
    "approve": compare_approvals,
    "at_most": _at_most,
    "items": _items,
    "on_error": _on_error,
    "timeout": _timeout,
    "branches": _branches,
    "plan": _called,
    "otherwise": lambda step, a, b: (
        _nothing() if isinstance(step, plan.Choose) else _any_field("otherwise")(step, a, b)
    ),
    "connection": _nothing,
    "action": _nothing,
}
