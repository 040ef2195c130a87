"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check; the text of a wrong one names the place and the fix."""

    level: Level
    check: str
    """What was checked: `disk`, `clock`, `database`, ..."""
    text: str


def good(check: str, text: str) -> Diagnosis:
    """Return a check that found nothing wrong."""
    return Diagnosis("good", check, text)


def note(check: str, text: str) -> Diagnosis:
    """Return something to know, which prevents nothing."""
    return Diagnosis("note", check, text)


def wrong(check: str, text: str) -> Diagnosis:
    """Return something that prevents work; the text says how to fix it."""
    return Diagnosis("wrong", check, text)
