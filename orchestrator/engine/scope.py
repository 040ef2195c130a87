"""What a step sees and where it stands: the names of its expressions, its path, the approvals that cover it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.errors import Halted, TocsinError


class StepFailed(TocsinError):
    """A step did not end well; the text names its path and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"step {path}: {reason}")
        self.path = path


class Declined(Halted):
    """People said no, or nobody answered in time."""


class Refused(Halted):
    """The policy said no."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the interpreter is. `steps` is shared by all that are seen flat together.

    `approved`: digests of changes that people agreed with for a whole group, by the approval that covers them;
    `declined`: digests they left out.
    """

    names: Mapping[str, Any]
    steps: dict[str, Any]
    prefix: str = ""
    approved: Mapping[str, str] | None = None
    declined: frozenset[str] = frozenset()

    def path(self, step_id: str) -> str:
        """The step's path in the run."""
        return f"{self.prefix}{step_id}"

    def scope(self, **more: Any) -> dict[str, Any]:
        """The names that expressions see."""
        return {**self.names, "steps": self.steps, **more}

    def within(self, part: str) -> Place:
        """Inside a step whose ids are seen flat."""
        return replace(self, prefix=f"{self.prefix}{part}/")

    def item(self, part: str, name: str, value: Any) -> Place:
        """Inside one item of a `for_each`: its steps are its own."""
        return replace(self, prefix=f"{self.prefix}{part}/", names={**self.names, name: value}, steps=dict(self.steps))
