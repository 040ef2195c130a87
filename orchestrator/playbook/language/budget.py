"""The budget of an evaluation: steps are counted, not timed, so that each replay counts the same.

A step is about a microsecond of work: one node of an expression, one part of a value that is read
or built, or 1024 characters.
"""

from __future__ import annotations

from orchestrator.playbook.language.ast import ExpressionError
from orchestrator.playbook.language.values import Json

STEPS = 150_000
"""The budget of an expression in a step of a run."""
TRIGGER_STEPS = 20_000
"""The budget of a trigger, which every alert pays for. It reads the largest alert eight times."""

_CHARACTERS = 1024  # of a text that are one step


class BudgetExceeded(ExpressionError):
    """An expression that needs more steps than it has."""


class Budget:
    """The steps that one evaluation has left."""

    __slots__ = ("_left", "_steps")

    def __init__(self, steps: int = STEPS) -> None:
        self._steps = self._left = steps

    @property
    def used(self) -> int:
        """The steps that were taken."""
        return self._steps - max(0, self._left)

    def spend(self, steps: int = 1) -> None:
        """Take steps. Raises BudgetExceeded when none are left."""
        self._left -= steps
        if self._left < 0:
            message = f"the expression exceeded its budget of {self._steps} steps"
            raise BudgetExceeded(message, "read less of the data, or split it over several steps")

    def read(self, value: Json, times: int = 1) -> None:
        """Take a step for each part of a value, as often as it is read. Raises BudgetExceeded.

        A value that is referred to twice counts twice. The count ends where the budget does.
        """
        pending = [value] if times else []
        while pending:
            part = pending.pop()
            if isinstance(part, str):
                self.spend(times * (1 + len(part) // _CHARACTERS))
                continue
            self.spend(times)
            if isinstance(part, list | tuple):
                self._require(len(part) * times)
                pending.extend(part)
            elif type(part) is dict:  # an unknown value cannot be read
                self._require(len(part) * times)
                pending.extend(part.values())
                pending.extend(part)

    def _require(self, steps: int) -> None:
        """Refuse a large value before its parts are listed."""
        if steps > self._left:
            self.spend(steps)
