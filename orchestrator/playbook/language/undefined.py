"""Paths that do not exist: most such errors are handled, so that only the others get a fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from orchestrator.playbook.language.ast import ExpressionError
from orchestrator.playbook.language.values import Json
from orchestrator.playbook.problems import did_you_mean


class UndefinedError(ExpressionError):
    """A path that does not exist. `default` and `is defined` handle it, everything else fails."""

    def __init__(self, path: str, key: Json = None, known: Json = ()) -> None:
        super().__init__(f"{path} is not defined")
        self._key, self._known = key, known

    def with_suggestion(self) -> ExpressionError:
        """Return the error with the name that may be meant, which takes long to find."""
        is_name = isinstance(self._key, str) and isinstance(self._known, Mapping)
        fix = did_you_mean(self._key, self._known) if is_name else self.fix
        return ExpressionError(self.message, fix)


class NullError(UndefinedError):
    """A path below a value that is null."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.message += ": the value before it is null"
        self.fix = "guard it with `... is not none and ...` or `| default(...)`"


@contextmanager
def suggestions() -> Iterator[None]:
    """Add the name that may be meant to the error of a path that does not exist."""
    try:
        yield
    except UndefinedError as error:
        raise error.with_suggestion() from None
