"""Patterns: regular expressions of the playbook language, searched in linear time by RE2.

A pattern is a literal of the author, checked when the playbook is compiled. RE2 has no
back-references and look-arounds, so that no text can make a search slow.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from orchestrator.domain.errors import Invalid

MAX_PATTERN = 1_000  # characters
_MAX_MEMORY = 4 * 1024 * 1024  # bytes of one compiled pattern


class PatternInvalid(Invalid):
    """A pattern that RE2 refuses. `fix` says what to write."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(f"{message}; {fix}")
        self.message = message
        self.fix = fix


def is_found(pattern: str, text: str) -> bool:
    """Whether the pattern occurs anywhere in the text. Raises PatternInvalid."""
    return compile_pattern(pattern).search(text.encode("utf-8", "replace")) is not None


def states(pattern: str) -> int:
    """Return the number of states of the compiled pattern. Raises PatternInvalid."""
    return int(compile_pattern(pattern).programsize)


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """Return the compiled pattern. Raises PatternInvalid."""
    if len(pattern) > MAX_PATTERN:
        message = f"a pattern of {len(pattern)} characters"
        raise PatternInvalid(message, f"the limit is {MAX_PATTERN}; join two tests with `or`")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(pattern.encode("utf-8", "replace"), options)
    except re2.error as error:
        raise _invalid(pattern, error) from error


def _invalid(pattern: str, error: Exception) -> PatternInvalid:
    """Return the error with the place in the pattern that RE2 names."""
    text = error.args[0].decode("utf-8", "replace") if error.args else "not a pattern"
    reason, _, part = text.partition(": ")
    column = pattern.find(part) + 1 if part and part != pattern else 0
    where = f" at {part!r}, column {column} of the pattern" if column else ""
    return PatternInvalid(f"{pattern[:80]!r} is not a pattern: {reason}{where}", _fix(reason))


def _fix(reason: str) -> str:
    if reason.startswith("missing"):
        return f"add the {reason.partition(' ')[2]}, or a backslash before the sign that opens it"
    for start, fix in _FIXES.items():
        if reason.startswith(start):
            return fix
    return "see the syntax of RE2"


_FIXES = {
    "unexpected )": "remove it, or put a backslash before it",
    "trailing \\": "write two for a backslash",
    "invalid perl operator": "write a plain group: there are no look-arounds",
    "invalid escape sequence": "there are no back-references; the classes are d, w and s",
    "bad repetition operator": "write one of * + ? {2} {2,5}",
    "no argument for repetition operator": "put a backslash before the sign to search for it",
    "invalid repetition size": "repeat at most 1000 times in all, the smaller number first",
    "invalid character class range": "put the smaller end first",
}
