"""What a step sees and where it stands: the names of its expressions, its path, the approvals that cover it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.contracts.question import Question
from orchestrator.domain.errors import Halted, TocsinError
from orchestrator.engine.decide.timeouts import Limit


class StepFailed(TocsinError):
    """A step did not end well; the text names its path and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"step {path}: {reason}")
        self.path = path


class Declined(Halted):
    """People said no, or nobody answered in time."""


class LeftOut(Halted):
    """People agreed with other changes of the group, and not with this one: the step ends, and the group goes on."""


class Refused(Halted):
    """The policy said no."""


@dataclass(frozen=True, slots=True)
class Cover:
    """A group's approval: what people are asked about changes that they have not seen yet, and what they said of those they have.

    `approved`: digest of a change -> the approval that covers it; `declined`: digests that were left out.
    """

    question: Question
    approved: Mapping[str, str]
    declined: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the interpreter is. `steps` is shared by all that are seen flat together; `limits` are the timeouts around."""

    names: Mapping[str, Any]
    steps: dict[str, Any]
    prefix: str = ""
    cover: Cover | None = None
    limits: tuple[Limit, ...] = ()

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
        return replace(
            self,
            prefix=f"{self.prefix}{part}/",
            names={**self.names, name: value},
            steps=dict(self.steps),
        )

    def called(self, part: str, inputs: Mapping[str, Any]) -> Place:
        """Inside a called playbook, which sees its inputs only."""
        return replace(
            self,
            prefix=f"{self.prefix}{part}/",
            names={"alert": None, "inputs": inputs, "run": self.names["run"]},
            steps={},
        )

    def covered(self, cover: Cover) -> Place:
        """Inside a group that people are asked about."""
        return replace(self, cover=cover)

    def limited(self, limit: Limit) -> Place:
        """Inside a step with a timeout."""
        return replace(self, limits=(*self.limits, limit))
