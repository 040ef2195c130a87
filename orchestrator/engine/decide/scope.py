"""The scope of a step: its path, what its expressions see, the approval and timeouts around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.contracts.approval import Question
from orchestrator.domain.errors import Halted, Rejected, TocsinError
from orchestrator.domain.run import StepFailure
from orchestrator.engine.decide.timeouts import StepTimeout


class StepFailed(TocsinError):
    """A step failed. The text begins with its path."""

    def __init__(self, path: str, reason: str, failure: StepFailure | None = None) -> None:
        super().__init__(f"step {path}: {reason}")
        self.path = path
        self.failure = failure


class NotVerified(Rejected):
    """The device does not show a change that it reported as applied."""


class Declined(Halted):
    """People declined, or no one decided in time."""


class NotSelected(Halted):
    """The approvers chose other changes of the group: this step ends, and the group continues."""


class Refused(Halted):
    """The policy denies the change."""


@dataclass(frozen=True, slots=True)
class GroupApproval:
    """The approval that covers a group of steps."""

    question: Question  # also asked about changes that could not be foreseen
    approved: Mapping[str, str]  # digest of a change -> the approval that covers it
    declined: frozenset[str] = frozenset()  # digests of changes that the approvers left out
    holds: Mapping[str, int | None] = field(default_factory=dict)  # the leases they were shown

    def covers(self, hold: int | None) -> dict[str, str]:
        """Return the approvals of changes with exactly this lease."""
        return {
            digest: approval
            for digest, approval in self.approved.items()
            if self.holds.get(digest) == hold
        }


@dataclass(frozen=True, slots=True)
class StepScope:
    """The position of the interpreter in a run."""

    names: Mapping[str, Any]  # what expressions see besides `steps`
    steps: dict[str, Any]  # results by step id; shared by all steps that see each other
    prefix: str = ""
    approval: GroupApproval | None = None
    timeouts: tuple[StepTimeout, ...] = ()  # of the steps around

    def path(self, step_id: str) -> str:
        """Return the step's path in the run."""
        return f"{self.prefix}{step_id}"

    def variables(self, **more: Any) -> dict[str, Any]:
        """Return the names that expressions see."""
        return {**self.names, "steps": self.steps, **more}

    def inside(self, part: str) -> StepScope:
        """Return the scope inside a block whose steps see and are seen by those around it."""
        return replace(self, prefix=f"{self.prefix}{part}/")

    def for_item(self, part: str, name: str, value: Any) -> StepScope:
        """Return the scope of one item of a `for_each`, whose step results stay inside."""
        return replace(
            self,
            prefix=f"{self.prefix}{part}/",
            names={**self.names, name: value},
            steps=dict(self.steps),
        )

    def for_call(self, part: str, inputs: Mapping[str, Any]) -> StepScope:
        """Return the scope of a called playbook, which sees only its inputs."""
        return replace(
            self,
            prefix=f"{self.prefix}{part}/",
            names={"alert": None, "inputs": inputs, "run": self.names["run"]},
            steps={},
        )

    def with_approval(self, approval: GroupApproval) -> StepScope:
        """Return the scope inside a group that needs approval."""
        return replace(self, approval=approval)

    def with_timeout(self, timeout: StepTimeout) -> StepScope:
        """Return the scope inside a step with a timeout."""
        return replace(self, timeouts=(*self.timeouts, timeout))
