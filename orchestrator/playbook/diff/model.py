"""The diff of two playbooks: its entries, and its text for terminals and pull requests."""

from __future__ import annotations

from enum import IntEnum

from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.durations import format_duration
from orchestrator.playbook.plan import Step


class Danger(IntEnum):
    """How much attention an entry needs."""

    GRAVE = 4  # it can do more, or needs fewer approvals
    WIDER = 3  # it does the same to more targets
    CHANGED = 2  # it does something else, perhaps more
    SAFER = 1
    WORDS = 0

    @property
    def label(self) -> str:
        """The heading of these entries."""
        return {
            4: "does more, or asks less",
            3: "reaches further",
            2: "behaves differently",
            1: "does less, or asks more",
            0: "wording",
        }[self]


class DiffEntry(Frozen):
    """One diff."""

    danger: Danger
    kind: str  # effect, step, approval, target, lease, limit, trigger, undo, words
    step: str | None  # None outside of steps
    sentence: str


def step_entry(step: Step, danger: Danger, kind: str, what: str) -> DiffEntry:
    """Return an entry about a step: `step ID what`."""
    return DiffEntry(danger=danger, kind=kind, step=step.id, sentence=f"step {step.id} {what}")


class PlaybookDiff(Frozen):
    """All differences between two versions, most dangerous first."""

    a: str  # name@version
    b: str
    changes: tuple[DiffEntry, ...]

    @property
    def same(self) -> bool:
        """Whether a run could not notice any difference."""
        return not self.changes


def duration_text(seconds: int | str | None) -> str:
    """Return a duration as an author writes it."""
    return format_duration(seconds) if isinstance(seconds, int) else str(seconds)


MAX_QUOTE = 4_000  # no condition is longer, so a change at its end is visible


def quote(value: object, most: int = MAX_QUOTE) -> str:
    """Return an author's text for a sentence: one line, bounded, unable to end its quotes."""
    text = " ".join(str(value).split()).replace("`", "'")
    return f"`{text if len(text) <= most else text[: most - 3] + '...'}`"


_MARKDOWN_ESCAPES = str.maketrans(
    {
        "|": r"\|",
        "<": "&lt;",
        ">": "&gt;",
        "@": "&#64;",
        "*": r"\*",
        "_": r"\_",
        "[": r"\[",
        "]": r"\]",
        "#": r"\#",
    }
)


def render_text(diff: PlaybookDiff) -> str:
    """Render a diff for a terminal."""
    if diff.same:
        return f"{diff.a} and {diff.b} mean the same\n"
    lines = [f"{diff.a} -> {diff.b}"]
    for danger in sorted(Danger, reverse=True):
        entries = [entry for entry in diff.changes if entry.danger is danger]
        lines += (
            ["", f"{danger.label}:", *(f"  - {entry.sentence}" for entry in entries)]
            if entries
            else []
        )
    return "\n".join(lines) + "\n"


def render_markdown(diff: PlaybookDiff) -> str:
    """Render a diff for a pull request. Authors' text stays code and mentions no one."""
    title = f"### `{diff.a}` -> `{diff.b}`"
    if diff.same:
        return f"{title}\n\nThey mean the same.\n"
    lines = [title]
    for danger in sorted(Danger, reverse=True):
        entries = [entry for entry in diff.changes if entry.danger is danger]
        lines += (
            [
                "",
                f"**{danger.label.capitalize()}**",
                "",
                *(f"- {_escape(entry.sentence)}" for entry in entries),
            ]
            if entries
            else []
        )
    return "\n".join(lines) + "\n"


def _escape(sentence: str) -> str:
    """Escape all but what stands in backquotes, which nothing can break out of."""
    pieces = sentence.split("`")
    return "`".join(
        piece if index % 2 else piece.translate(_MARKDOWN_ESCAPES)
        for index, piece in enumerate(pieces)
    )
