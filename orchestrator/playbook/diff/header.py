"""What changed around the steps: trigger, limits, inputs, what a failure does, and words."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.playbook import plan
from orchestrator.playbook.diff.conditions import Reach, compared
from orchestrator.playbook.diff.model import Change, Danger, length, quoted


def frame_changes(a: plan.Plan, b: plan.Plan) -> Iterator[Change]:
    """All but the steps. A new version of its own is no change."""
    if a.playbook != b.playbook:
        yield _change(
            Danger.CHANGED, "words", f"it is another playbook: {b.playbook}, not {a.playbook}"
        )
    yield from _trigger(a.trigger, b.trigger)
    yield from _limits(a.limits, b.limits)
    yield from _inputs(a.inputs, b.inputs)
    yield from _on_failure(a, b)
    for name in ("title", "owner", "attack"):
        before, after = getattr(a, name), getattr(b, name)
        if before != after:
            said = [
                ", ".join(each) if isinstance(each, tuple) else each for each in (before, after)
            ]
            yield _change(
                Danger.WORDS, "words", f"{name} is {quoted(said[1])} now, not {quoted(said[0])}"
            )


def _change(danger: Danger, kind: str, sentence: str) -> Change:
    return Change(danger=danger, kind=kind, step=None, sentence=sentence)


def _trigger(a: plan.Trigger | None, b: plan.Trigger | None) -> Iterator[Change]:
    if a is None or b is None:
        if b is not None:
            yield _change(Danger.GRAVE, "trigger", f"starts by itself now, when {quoted(b.when)}")
        elif a is not None:
            yield _change(
                Danger.SAFER, "trigger", f"no longer starts by itself; it did when {quoted(a.when)}"
            )
        return
    if a.when != b.when:
        reach = compared(a.when, b.when)
        danger = Danger.SAFER if reach is Reach.NARROWER else Danger.WIDER
        yield _change(
            danger,
            "trigger",
            f"starts {reach.word}: when {quoted(b.when)}, not when {quoted(a.when)}",
        )
    if a.once_per != b.once_per:
        yield _change(
            Danger.WIDER,
            "trigger",
            f"runs once per {quoted(b.once_per)} now, not once per {quoted(a.once_per)}",
        )
    if a.within != b.within:
        danger, word = (Danger.WIDER, "sooner") if b.within < a.within else (Danger.SAFER, "later")
        yield _change(
            danger,
            "trigger",
            f"a further alert of the same name starts it again {word}: after {length(b.within)}, not {length(a.within)}",
        )


def _limits(a: plan.Limits, b: plan.Limits) -> Iterator[Change]:
    for name in plan.Limits.model_fields:
        before, after = getattr(a, name), getattr(b, name)
        said = name.replace("_", " ")
        if before == after:
            continue
        if after is None:
            yield _change(Danger.GRAVE, "limit", f"the limit of {said} is gone; it was {before}")
        elif before is None:
            yield _change(Danger.SAFER, "limit", f"{said} are limited to {after} now")
        else:
            danger, word = (Danger.WIDER, "raised") if after > before else (Danger.SAFER, "lowered")
            yield _change(
                danger, "limit", f"the limit of {said} is {word} from {before} to {after}"
            )


def _inputs(a: dict[str, plan.InputField], b: dict[str, plan.InputField]) -> Iterator[Change]:
    for name in dict.fromkeys((*a, *b)):
        if name not in b:
            yield _change(Danger.CHANGED, "input", f"no longer takes the input {name}")
        elif name not in a:
            needed = " (required)" if b[name].required and b[name].default is None else ""
            yield _change(
                Danger.CHANGED, "input", f"takes the input {name} now, {b[name].type}{needed}"
            )
        elif a[name] != b[name]:
            only_words = a[name].model_copy(update={"description": b[name].description}) == b[name]
            yield _change(
                Danger.WORDS if only_words else Danger.CHANGED,
                "input",
                f"the input {name} is declared otherwise",
            )


def _on_failure(a: plan.Plan, b: plan.Plan) -> Iterator[Change]:
    words = [
        each if isinstance(each, str) else "its own steps" for each in (a.on_failure, b.on_failure)
    ]
    if words[0] == words[1]:
        return
    if words[0] == "roll_back":
        yield _change(
            Danger.GRAVE, "undo", f"no longer takes back what it did when it fails: {words[1]}"
        )
    elif words[1] == "roll_back":
        yield _change(
            Danger.SAFER, "undo", f"takes back what it did when it fails now, not: {words[0]}"
        )
    else:
        yield _change(
            Danger.CHANGED, "undo", f"answers a failure with: {words[1]}, not: {words[0]}"
        )
