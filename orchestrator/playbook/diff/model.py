"""How two playbooks differ in what they mean, said in sentences, the most dangerous first."""

from __future__ import annotations

from enum import IntEnum

from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.durations import spelled


class Danger(IntEnum):
    """How much a change asks for a reader's eye."""

    GRAVE = 4  # it can do more, or is asked less
    WIDER = 3  # it does the same to more
    CHANGED = 2  # it does something else; whether that is more can't be told
    SAFER = 1
    WORDS = 0

    @property
    def label(self) -> str:
        return {
            4: "does more, or is asked less",
            3: "reaches further",
            2: "does it differently",
            1: "does less, or asks more",
            0: "words",
        }[self]


class Change(Frozen):
    """One difference. `step` is None outside of steps."""

    danger: Danger
    kind: str  # effect, step, approval, target, lease, limit, trigger, undo, words
    step: str | None
    sentence: str


class Difference(Frozen):
    """All of them, the most dangerous first. `a` and `b`: name@version. `same`: nothing that a run would notification."""

    a: str
    b: str
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        return not self.changes


def length(seconds: int | str | None) -> str:
    """A length of time as an author writes it."""
    return spelled(seconds) if isinstance(seconds, int) else str(seconds)


LONGEST = 4_000  # no condition is longer: a change at its end must be seen


def quoted(value: object, most: int = LONGEST) -> str:
    """An author's text in a sentence: one line, bounded, and unable to end its quotes."""
    text = " ".join(str(value).split()).replace("`", "'")
    return f"`{text if len(text) <= most else text[: most - 3] + '...'}`"


_CANNOT = str.maketrans(
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


def text_of(difference: Difference) -> str:
    """For a terminal."""
    if difference.same:
        return f"{difference.a} and {difference.b} mean the same\n"
    lines = [f"{difference.a} -> {difference.b}"]
    for danger in sorted(Danger, reverse=True):
        told = [change for change in difference.changes if change.danger is danger]
        lines += (
            ["", f"{danger.label}:", *(f"  - {change.sentence}" for change in told)] if told else []
        )
    return "\n".join(lines) + "\n"


def markdown_of(difference: Difference) -> str:
    """For a comment on a pull request. What an author wrote stays code, and mentions nobody."""
    title = f"### `{difference.a}` -> `{difference.b}`"
    if difference.same:
        return f"{title}\n\nThey mean the same.\n"
    lines = [title]
    for danger in sorted(Danger, reverse=True):
        told = [change for change in difference.changes if change.danger is danger]
        lines += (
            [
                "",
                f"**{danger.label.capitalize()}**",
                "",
                *(f"- {_escaped(change.sentence)}" for change in told),
            ]
            if told
            else []
        )
    return "\n".join(lines) + "\n"


def _escaped(sentence: str) -> str:
    """All but what stands in backquotes, which nothing breaks out of."""
    pieces = sentence.split("`")
    return "`".join(
        piece if index % 2 else piece.translate(_CANNOT) for index, piece in enumerate(pieces)
    )
