"""The diff of two plans: effects, steps, their order and the approvals that cover them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.diff.header import diff_headers
from orchestrator.playbook.diff.model import Danger, DiffEntry, PlaybookDiff, quote
from orchestrator.playbook.diff.steps import diff_steps


def diff_plans(a: plan.Plan, b: plan.Plan) -> PlaybookDiff:
    """Return what changed from `a` to `b`, most dangerous first, then in the order of `b`."""
    names = [f"{each.playbook}@{each.version}" for each in (a, b)]
    if names[0] == names[1] and a.digest != b.digest:
        names = [f"{name} ({side})" for name, side in zip(names, ("before", "after"), strict=True)]
    changes = [*_effects(a, b), *_steps(a, b), *diff_headers(a, b)]
    return PlaybookDiff(
        a=names[0], b=names[1], changes=tuple(sorted(changes, key=lambda change: -change.danger))
    )


_CAN = {
    Effect.CONTAIN: "contain",
    Effect.RESTORE: "lower a defense",
    Effect.NOTIFY: "notify",
    Effect.DESTROY: "destroy, without undo",
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
    """A step and its place in the plan."""

    step: plan.AnyStep
    block: str
    after: str | None  # the step before it in the block
    approvals: frozenset[str]  # ids of the blocks whose approval covers it


def _effects(a: plan.Plan, b: plan.Plan) -> Iterator[DiffEntry]:
    before, after = _actions(a), _actions(b)
    for name, (use, step) in after.items():
        if name not in before:
            yield DiffEntry(
                danger=_GAINED[use.effect],
                kind="effect",
                step=step,
                sentence=f"can now {_ability(use)} ({name}, step {step})",
            )
    for name, (use, step) in before.items():
        if name not in after:
            danger = Danger.SAFER if use.effect.changes else Danger.CHANGED
            yield DiffEntry(
                danger=danger,
                kind="effect",
                step=step,
                sentence=f"can no longer {_ability(use)} ({name}, was step {step})",
            )


def _ability(use: plan.Use) -> str:
    """Return the name of an action in the plural: `isolate_host` becomes `isolate hosts`."""
    verb, _, thing = use.action.partition("_")
    words = f"{verb} {_plural(thing.replace('_', ' '))}" if thing else f"{verb} ({use.connection})"
    if use.effect in {Effect.CONTAIN, Effect.READ, Effect.NOTIFY}:
        return words
    return f"{words}: {_CAN[use.effect]}"


def _plural(thing: str) -> str:
    if not thing or (thing.endswith("s") and not thing.endswith("ss")):
        return thing
    if thing.endswith(("ss", "x", "sh", "ch")):
        return f"{thing}es"
    if thing.endswith("y") and thing[-2:-1] not in "aeiou":
        return f"{thing[:-1]}ies"
    return f"{thing}s"


def _actions(of: plan.Plan) -> dict[str, tuple[plan.Use, str]]:
    found: dict[str, tuple[plan.Use, str]] = {}
    for _, step in plan.walk(of):
        if isinstance(step, plan.Use):
            found.setdefault(f"{step.connection}.{step.action}", (step, step.id))
    return found


def _steps(a: plan.Plan, b: plan.Plan) -> Iterator[DiffEntry]:
    before, after = _placed(a), _placed(b)
    for name, placed in after.items():
        if name not in before:
            danger = Danger.CHANGED if _changes(placed.step) else Danger.WORDS
            yield DiffEntry(
                danger=danger,
                kind="step",
                step=name,
                sentence=f"step {name} is new: {_describe(placed.step)}",
            )
        else:
            yield from diff_steps(before[name].step, placed.step)
            yield from _approval_change(before[name], placed)
    for name, placed in before.items():
        if name not in after:
            yield DiffEntry(
                danger=Danger.CHANGED,
                kind="step",
                step=name,
                sentence=f"step {name} was removed: it was {_describe(placed.step)}",
            )
    yield from _moved(before, after)


def _approval_change(before: _Placed, after: _Placed) -> Iterator[DiffEntry]:
    """Yield whether a step left a block whose approval covered it, or moved into one."""
    name = after.step.id
    if (
        before.block == after.block
        or not _changes(after.step)
        or bool(before.approvals) is bool(after.approvals)
    ):
        return
    if before.approvals:
        blocks = ", ".join(sorted(before.approvals))
        sentence = f"step {name} is no longer covered by the approval of {blocks}"
        yield DiffEntry(danger=Danger.GRAVE, kind="approval", step=name, sentence=sentence)
    else:
        sentence = (
            f"step {name} is now covered by the approval of {', '.join(sorted(after.approvals))}"
        )
        yield DiffEntry(danger=Danger.SAFER, kind="approval", step=name, sentence=sentence)


def _moved(before: Mapping[str, _Placed], after: Mapping[str, _Placed]) -> Iterator[DiffEntry]:
    """Yield steps that moved to another block, or past another step of both plans."""
    order = {name: index for index, name in enumerate(before)}
    common = [name for name in after if name in before]
    stay = _longest_rising([order[name] for name in common])
    for name in common:
        if before[name].block != after[name].block:
            where = f"moved from {before[name].block} to {after[name].block}"
            yield DiffEntry(
                danger=Danger.CHANGED, kind="step", step=name, sentence=f"step {name} {where}"
            )
        elif order[name] not in stay:
            behind = after[name].after
            where = f"runs after {behind}" if behind else "runs first"
            yield DiffEntry(
                danger=Danger.CHANGED,
                kind="step",
                step=name,
                sentence=f"step {name} moved: it now {where}",
            )


def _longest_rising(numbers: list[int]) -> set[int]:
    """Return the longest rising subsequence: the steps that did not move."""
    best: list[tuple[int, ...]] = [()]
    for number in numbers:
        before = max((run for run in best if not run or run[-1] < number), key=len)
        best.append((*before, number))
    longest: tuple[int, ...] = max(best, key=len)
    return set(longest)


def _placed(of: plan.Plan) -> dict[str, _Placed]:
    """Return every step of the plan in the order of the text, without called playbooks."""
    found: dict[str, _Placed] = {}
    _place(of.steps, "the top", found)
    _place(of.failure_steps, "on_failure", found)
    return found


def _place(
    steps: tuple[plan.AnyStep, ...],
    where: str,
    found: dict[str, _Placed],
    approvals: frozenset[str] = frozenset(),
) -> None:
    previous: str | None = None
    for step in steps:
        found[step.id] = _Placed(step, where, previous, approvals)
        previous = step.id
        covered = approvals | {step.id} if step.approve else approvals
        for block in step.blocks():
            name = _block_name(step, block)
            if name is not None:
                _place(block.steps, name, found, covered)


def _block_name(step: plan.AnyStep, block: plan.StepBlock) -> str | None:
    """Return the name of a block in a sentence; None for a called playbook."""
    match block.kind:
        case plan.BlockKind.BODY | plan.BlockKind.PARALLEL:
            return f"{step.kind} {step.id}"
        case plan.BlockKind.BRANCH:
            return f"branch {block.index + 1} of {step.id}"
        case plan.BlockKind.OTHERWISE:
            return f"otherwise of {step.id}"
        case plan.BlockKind.ON_ERROR:
            return f"on_error of {step.id}"
        case plan.BlockKind.CALLED | plan.BlockKind.CALLED_ON_FAILURE:
            return None
        case _:
            assert_never(block.kind)


def _changes(step: plan.AnyStep) -> bool:
    return any(
        isinstance(each, plan.Use) and each.effect.changes for _, each in plan.walk_steps([step])
    )


def _describe(step: plan.AnyStep) -> str:
    """Return what a step is, in a few words; a kind that is not named here is its actions."""
    if isinstance(step, plan.Use):
        when = f", when {quote(step.when)}" if step.when else ""
        return f"{step.connection}.{step.action}{when}"
    if isinstance(step, plan.CallPlaybook):
        return f"a call of {step.plan.playbook}@{step.plan.version}"
    if isinstance(step, plan.Ask):
        return f"a question, {quote(step.question)}"
    if not step.children():
        return f"a {step.kind}"
    actions = dict.fromkeys(
        f"{each.connection}.{each.action}"
        for _, each in plan.walk_steps(step.children())
        if isinstance(each, plan.Use)
    )
    return f"a {step.kind} of {', '.join(actions) or 'no action'}"
