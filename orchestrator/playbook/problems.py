"""How a bad playbook is told about: every problem with file, line, column, step and mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.errors import Invalid


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; `step` is None outside of steps."""

    file: str
    line: int
    column: int
    step: str | None
    message: str
    mend: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        step = f"step {self.step}: " if self.step else ""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{where}{step}{self.message}{mend}"


class PlaybookInvalid(Invalid):
    """A playbook that cannot be published. `problems` are all that were found, in the order of the file; at least one."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(
            sorted(
                set(problems), key=lambda problem: (problem.line, problem.column, problem.message)
            )
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


LONGEST_NAME = 64  # the search compares each with each: an attacker's keys must not make it long
MOST_NAMES = 1_000


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The mend for a misspelt word: the nearest known one, else the list of what there is (when it is short)."""
    names = [name for name in sorted(known) if len(name) <= LONGEST_NAME]
    if len(word) > LONGEST_NAME or len(names) > MOST_NAMES:
        return None
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there is: {', '.join(names)}" if 0 < len(names) <= 16 else None
