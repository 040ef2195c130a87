"""Differences in the approval of a step: who approves, how many, when, and without an answer."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.playbook import plan
from orchestrator.playbook.diff.conditions import ConditionChange, compare_conditions
from orchestrator.playbook.diff.model import Danger, DiffEntry, duration_text, quote, step_entry

_APPROVAL = frozenset({"when", "quorum", "by", "otherwise", "escalate_to", "within", "question"})


def compare_approvals(
    step: plan.AnyStep, before: plan.Approve | None, after: plan.Approve | None
) -> Iterator[DiffEntry]:
    """Yield what changed in the approval of a step."""
    if after is None:
        yield step_entry(step, Danger.GRAVE, "approval", "no longer asks for approval")
    elif before is None:
        asks = f"when {quote(after.when)}" if after.when else "always"
        yield step_entry(step, Danger.SAFER, "approval", f"now asks for approval, {asks}")
    else:
        yield from _approval(step, before, after)


def _approval(step: plan.AnyStep, a: plan.Approve, b: plan.Approve) -> Iterator[DiffEntry]:
    """Yield what changed in who approves, how many, when, and what happens without an answer."""

    def entry(danger: Danger, what: str) -> DiffEntry:
        return step_entry(step, danger, "approval", what)

    if a.when != b.when:
        yield entry(*_asked(a.when, b.when))
    if a.quorum != b.quorum:
        yield entry(
            Danger.GRAVE if b.quorum < a.quorum else Danger.SAFER,
            f"now needs {b.quorum} approval{'s' * (b.quorum > 1)}, not {a.quorum}",
        )
    if a.by != b.by:
        whom = f"by {quote(b.by)}" if b.by else "by anyone with the permission"
        was = quote(a.by) if a.by else "anyone with the permission"
        yield entry(
            Danger.SAFER if a.by is None else Danger.GRAVE, f"is now approved {whom}, not by {was}"
        )
    if a.otherwise != b.otherwise or a.escalate_to != b.escalate_to:
        silence = f"asks {_whom(b.escalate_to)}" if b.otherwise == "escalate" else "stops"
        yield entry(
            Danger.SAFER if b.otherwise == "stop" else Danger.WIDER,
            f"now {silence} when no one answers",
        )
    if a.within != b.within:
        yield entry(
            Danger.CHANGED,
            f"now waits {duration_text(b.within)} for an answer, not {duration_text(a.within)}",
        )
    if a.question != b.question:
        yield entry(Danger.CHANGED, f"now asks {quote(b.question)}, not {quote(a.question)}")
    for name in type(b).model_fields:
        was, now = getattr(a, name), getattr(b, name)
        if name not in _APPROVAL and was != now:
            yield entry(
                Danger.WIDER,
                f"now has {name.replace('_', ' ')} {quote(now)} in its approval, not {quote(was)}",
            )


def _whom(groups: tuple[str, ...]) -> str:
    return " and then ".join(map(quote, groups or ("no one",)))


def _asked(before: str | None, after: str | None) -> tuple[Danger, str]:
    if after is None:
        return Danger.SAFER, f"now always asks for approval, not only when {quote(before)}"
    if before is None:
        return Danger.GRAVE, f"now asks for approval only when {quote(after)}, not always"
    reach = compare_conditions(before, after)
    danger = Danger.SAFER if reach is ConditionChange.WIDER else Danger.GRAVE
    return (
        danger,
        f"asks for approval {reach.word}: when {quote(after)}, not when {quote(before)}",
    )
