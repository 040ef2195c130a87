"""Inbox of a workflow: signals and updates that arrive from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.contracts.approval import Decision


@dataclass
class Inbox:
    """What has reached one workflow.

    The payload of a decision is never used, as anyone who can reach Temporal can send one: the
    decision is read from the store.
    """

    decided: set[str] = field(default_factory=set)  # approvals that are reported as decided
    asked: set[str] = field(default_factory=set)  # approvals that this workflow waits for
    new_alerts: int = 0
    is_cancelled: bool = False  # the run begins nothing more
    _asking: int = 0

    def validate(self, decision: Decision) -> None:
        """Raise ValueError for an approval that this workflow does not wait for, or knows about.

        A refused update leaves nothing in the history, so that it can be repeated freely.

        While a question is being asked its id is not known yet, and its answer may arrive first.
        """
        if decision.approval_id not in self.asked and not self._asking:
            raise ValueError(f"this run does not wait for approval {decision.approval_id}")
        if decision.approval_id in self.decided:
            raise ValueError(f"this run is about to look up approval {decision.approval_id}")

    def report(self, decision: Decision) -> None:
        """Note that an approval is decided."""
        self.decided.add(decision.approval_id)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Accept any decision while a question is being asked."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
