"""Validation errors of a playbook, with file, line, column, step and fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.errors import Invalid


@dataclass(frozen=True, slots=True)
class PlaybookProblem:
    """One error in the text of a playbook."""

    file: str
    line: int  # from 1
    column: int  # from 1
    step: str | None  # None outside of steps
    message: str
    fix: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        step = f"step {self.step}: " if self.step else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{where}{step}{self.message}{fix}"


class PlaybookInvalid(Invalid):
    """A playbook with errors. `problems` holds at least one, in the order of the file."""

    def __init__(self, problems: Iterable[PlaybookProblem]) -> None:
        self.problems = tuple(
            sorted(
                set(problems), key=lambda problem: (problem.line, problem.column, problem.message)
            )
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


MAX_NAME_LENGTH = 64  # the search compares every pair: hostile keys must not make it slow
MAX_NAMES = 1_000
MAX_LISTED = 16


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the fix for a misspelled word: the nearest known word, or a short list of all."""
    names = [name for name in sorted(known) if len(name) <= MAX_NAME_LENGTH]
    if len(word) > MAX_NAME_LENGTH or len(names) > MAX_NAMES:
        return None
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if len(names) == 1:
        return f"use {names[0]!r}"
    return f"use one of: {', '.join(names)}" if 0 < len(names) <= MAX_LISTED else None
