"""What does another version of a playbook do that this one does not? Compares plans, not texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.compile.steps import inside
from orchestrator.playbook.diff.header import frame_changes
from orchestrator.playbook.diff.model import Change, Danger, Difference, quoted
from orchestrator.playbook.diff.steps import step_changes


def difference(a: plan.Plan, b: plan.Plan) -> Difference:
    """What changed from `a` to `b`, the most dangerous first, then in the order of `b`."""
    names = [f"{each.playbook}@{each.version}" for each in (a, b)]
    if names[0] == names[1] and a.digest != b.digest:
        names = [f"{name} ({side})" for name, side in zip(names, ("before", "after"), strict=True)]
    changes = [*_effects(a, b), *_steps(a, b), *frame_changes(a, b)]
    return Difference(
        a=names[0], b=names[1], changes=tuple(sorted(changes, key=lambda change: -change.danger))
    )


_CAN = {
    Effect.CONTAIN: "contain",
    Effect.RESTORE: "lower a defence",
    Effect.NOTIFY: "tell",
    Effect.DESTROY: "destroy, without a way back",
    Effect.READ: "read",
}
_GAINED = {
    Effect.DESTROY: Danger.GRAVE,
    Effect.CONTAIN: Danger.GRAVE,
    Effect.RESTORE: Danger.GRAVE,
    Effect.NOTIFY: Danger.WIDER,
    Effect.READ: Danger.CHANGED,
}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A step and where it stands: in which block, after which step, under the approval of which blocks."""

    step: plan.AnyStep
    block: str
    after: str | None
    asked: frozenset[str]


def _effects(a: plan.Plan, b: plan.Plan) -> Iterator[Change]:
    before, after = _actions(a), _actions(b)
    for name, (use, step) in after.items():
        if name not in before:
            yield Change(
                danger=_GAINED[use.effect],
                kind="effect",
                step=step,
                sentence=f"can now {_does(use)} ({name}, step {step})",
            )
    for name, (use, step) in before.items():
        if name not in after:
            danger = Danger.SAFER if use.effect.changes else Danger.CHANGED
            yield Change(
                danger=danger,
                kind="effect",
                step=step,
                sentence=f"can no longer {_does(use)} ({name}, was step {step})",
            )


def _does(use: plan.Use) -> str:
    """`isolate_host` -> `isolate hosts`: what the action is called, said of many."""
    verb, _, thing = use.action.partition("_")
    words = f"{verb} {_plural(thing.replace('_', ' '))}" if thing else f"{verb} ({use.connection})"
    return (
        words
        if use.effect in {Effect.CONTAIN, Effect.READ, Effect.NOTIFY}
        else f"{words}: {_CAN[use.effect]}"
    )


def _plural(thing: str) -> str:
    if thing.endswith(("s", "x", "sh", "ch")):
        return thing if thing.endswith("s") and not thing.endswith("ss") else f"{thing}es"
    return (
        thing
        if not thing
        else f"{thing[:-1]}ies"
        if thing.endswith("y") and thing[-2:-1] not in "aeiou"
        else f"{thing}s"
    )


def _actions(of: plan.Plan) -> dict[str, tuple[plan.Use, str]]:
    found: dict[str, tuple[plan.Use, str]] = {}
    for step in _flat(_top(of)):
        if isinstance(step, plan.Use):
            found.setdefault(f"{step.connection}.{step.action}", (step, step.id))
    return found


def _top(of: plan.Plan) -> tuple[plan.AnyStep, ...]:
    return (*of.steps, *(of.on_failure if isinstance(of.on_failure, tuple) else ()))


def _flat(steps: tuple[plan.AnyStep, ...]) -> Iterator[plan.AnyStep]:
    for step in steps:
        yield step
        yield from _flat(inside(step))


def _steps(a: plan.Plan, b: plan.Plan) -> Iterator[Change]:
    before, after = _placed(a), _placed(b)
    for name, placed in after.items():
        if name not in before:
            danger = Danger.CHANGED if _changes(placed.step) else Danger.WORDS
            yield Change(
                danger=danger,
                kind="step",
                step=name,
                sentence=f"step {name} is new: {_says(placed.step)}",
            )
        else:
            yield from step_changes(before[name].step, placed.step)
            yield from _covered(before[name], placed)
    for name, placed in before.items():
        if name not in after:
            yield Change(
                danger=Danger.CHANGED,
                kind="step",
                step=name,
                sentence=f"step {name} is gone: it was {_says(placed.step)}",
            )
    yield from _moved(before, after)


def _covered(before: _Placed, after: _Placed) -> Iterator[Change]:
    """Whether it left a block whose approval covered it, or came under one."""
    name = after.step.id
    if (
        before.block == after.block
        or not _changes(after.step)
        or bool(before.asked) is bool(after.asked)
    ):
        return
    if before.asked:
        sentence = (
            f"step {name} is no longer under the approval of {', '.join(sorted(before.asked))}"
        )
        yield Change(danger=Danger.GRAVE, kind="approval", step=name, sentence=sentence)
    else:
        sentence = f"step {name} is under the approval of {', '.join(sorted(after.asked))} now"
        yield Change(danger=Danger.SAFER, kind="approval", step=name, sentence=sentence)


def _moved(before: Mapping[str, _Placed], after: Mapping[str, _Placed]) -> Iterator[Change]:
    """Steps of both that stand in another block, or on the other side of a step of both."""
    order = {name: index for index, name in enumerate(before)}
    common = [name for name in after if name in before]
    stay = _longest_rising([order[name] for name in common])
    for name in common:
        if before[name].block != after[name].block:
            where = f"moved from {before[name].block} to {after[name].block}"
            yield Change(
                danger=Danger.CHANGED, kind="step", step=name, sentence=f"step {name} {where}"
            )
        elif order[name] not in stay:
            behind = after[name].after
            where = f"comes after {behind}" if behind else "comes first"
            yield Change(
                danger=Danger.CHANGED,
                kind="step",
                step=name,
                sentence=f"step {name} moved: it now {where}",
            )


def _longest_rising(numbers: list[int]) -> set[int]:
    """The longest run of numbers that kept their order: what did not move."""
    best: list[tuple[int, ...]] = [()]
    for number in numbers:
        before = max((run for run in best if not run or run[-1] < number), key=len)
        best.append((*before, number))
    longest: tuple[int, ...] = max(best, key=len)
    return set(longest)


def _placed(of: plan.Plan) -> dict[str, _Placed]:
    """Every step of the plan's own, in the order of the text; those of a called playbook are its own task."""
    found: dict[str, _Placed] = {}
    _place(of.steps, "the top", found)
    _place(of.on_failure if isinstance(of.on_failure, tuple) else (), "on_failure", found)
    return found


def _place(
    steps: tuple[plan.AnyStep, ...],
    block: str,
    found: dict[str, _Placed],
    asked: frozenset[str] = frozenset(),
) -> None:
    previous: str | None = None
    for step in steps:
        found[step.id] = _Placed(step, block, previous, asked)
        previous = step.id
        under = asked | {step.id} if step.approve else asked
        match step:
            case plan.Parallel() | plan.ForEach() | plan.Repeat():
                _place(step.steps, f"{step.kind} {step.id}", found, under)
            case plan.Choose():
                for index, branch in enumerate(step.branches):
                    _place(branch.steps, f"branch {index + 1} of {step.id}", found, under)
                _place(step.otherwise, f"otherwise of {step.id}", found, under)
        _place(
            step.on_error if isinstance(step.on_error, tuple) else (),
            f"on_error of {step.id}",
            found,
            under,
        )


def _changes(step: plan.AnyStep) -> bool:
    return any(isinstance(each, plan.Use) and each.effect.changes for each in _flat((step,)))


def _says(step: plan.AnyStep) -> str:
    match step:
        case plan.Use():
            return f"{step.connection}.{step.action}" + (
                f", when {quoted(step.when)}" if step.when else ""
            )
        case plan.Call():
            return f"a call of {step.plan.playbook}@{step.plan.version}"
        case plan.Ask():
            return f"a question, {quoted(step.question)}"
        case plan.Parallel() | plan.ForEach() | plan.Repeat() | plan.Choose():
            kinds = Counter(
                f"{each.connection}.{each.action}"
                for each in _flat(inside(step))
                if isinstance(each, plan.Use)
            )
            return f"a {step.kind} of {', '.join(kinds) or 'no action'}"
        case _:
            return f"a {step.kind}"
