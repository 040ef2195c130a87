"""Differences outside of the steps: trigger, limits, inputs, the response to a failure, wording."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.playbook import plan
from orchestrator.playbook.diff.conditions import ConditionChange, compare_conditions
from orchestrator.playbook.diff.model import Danger, DiffEntry, duration_text, quote


def diff_headers(a: plan.Plan, b: plan.Plan) -> Iterator[DiffEntry]:
    """Yield the differences outside of the steps. A new version number alone is none."""
    if a.playbook != b.playbook:
        yield _entry(
            Danger.CHANGED, "words", f"is another playbook: {b.playbook}, not {a.playbook}"
        )
    yield from _trigger(a.trigger, b.trigger)
    yield from _limits(a.limits, b.limits)
    yield from _inputs(a.inputs, b.inputs)
    yield from _on_failure(a, b)
    for name in ("title", "owner", "attack"):
        before, after = getattr(a, name), getattr(b, name)
        if before != after:
            texts = [
                ", ".join(each) if isinstance(each, tuple) else each for each in (before, after)
            ]
            yield _entry(
                Danger.WORDS, "words", f"{name} is now {quote(texts[1])}, not {quote(texts[0])}"
            )


def _entry(danger: Danger, kind: str, sentence: str) -> DiffEntry:
    return DiffEntry(danger=danger, kind=kind, step=None, sentence=sentence)


def _trigger(a: plan.Trigger | None, b: plan.Trigger | None) -> Iterator[DiffEntry]:
    if a is None or b is None:
        if b is not None:
            yield _entry(Danger.GRAVE, "trigger", f"now starts by itself when {quote(b.when)}")
        elif a is not None:
            yield _entry(
                Danger.SAFER,
                "trigger",
                f"no longer starts by itself, which it did when {quote(a.when)}",
            )
        return
    if a.when != b.when:
        reach = compare_conditions(a.when, b.when)
        danger = Danger.SAFER if reach is ConditionChange.NARROWER else Danger.WIDER
        yield _entry(
            danger,
            "trigger",
            f"starts {reach.word}: when {quote(b.when)}, not when {quote(a.when)}",
        )
    if a.once_per != b.once_per:
        yield _entry(
            Danger.WIDER,
            "trigger",
            f"now runs once per {quote(b.once_per)}, not once per {quote(a.once_per)}",
        )
    if a.within != b.within:
        danger, word = (Danger.WIDER, "sooner") if b.within < a.within else (Danger.SAFER, "later")
        yield _entry(
            danger,
            "trigger",
            f"alerts with the same name start a new run {word}: "
            f"after {duration_text(b.within)}, not {duration_text(a.within)}",
        )


def _limits(a: plan.Limits, b: plan.Limits) -> Iterator[DiffEntry]:
    for name in plan.Limits.model_fields:
        before, after = getattr(a, name), getattr(b, name)
        label = name.replace("_", " ")
        if before == after:
            continue
        if after is None:
            yield _entry(
                Danger.GRAVE, "limit", f"the limit of {label} was removed; it was {before}"
            )
        elif before is None:
            yield _entry(Danger.SAFER, "limit", f"{label} are now limited to {after}")
        else:
            danger, word = (Danger.WIDER, "raised") if after > before else (Danger.SAFER, "lowered")
            yield _entry(
                danger, "limit", f"the limit of {label} is {word} from {before} to {after}"
            )


def _inputs(a: dict[str, plan.InputField], b: dict[str, plan.InputField]) -> Iterator[DiffEntry]:
    for name in dict.fromkeys((*a, *b)):
        if name not in b:
            yield _entry(Danger.CHANGED, "input", f"no longer takes the input {name}")
        elif name not in a:
            needed = " (required)" if b[name].required and b[name].default is None else ""
            yield _entry(
                Danger.CHANGED, "input", f"now takes the input {name}, {b[name].type}{needed}"
            )
        elif a[name] != b[name]:
            only_words = a[name].model_copy(update={"description": b[name].description}) == b[name]
            yield _entry(
                Danger.WORDS if only_words else Danger.CHANGED,
                "input",
                f"the declaration of the input {name} changed",
            )


def _on_failure(a: plan.Plan, b: plan.Plan) -> Iterator[DiffEntry]:
    words = [
        each if isinstance(each, str) else "its own steps" for each in (a.on_failure, b.on_failure)
    ]
    if words[0] == words[1]:
        return
    if words[0] == "roll_back":
        yield _entry(
            Danger.GRAVE, "undo", f"no longer rolls back its changes after a failure: {words[1]}"
        )
    elif words[1] == "roll_back":
        yield _entry(
            Danger.SAFER, "undo", f"now rolls back its changes after a failure, not: {words[0]}"
        )
    else:
        yield _entry(
            Danger.CHANGED, "undo", f"now responds to a failure with: {words[1]}, not: {words[0]}"
        )
