"""What reaches a running workflow from outside: decisions of people, and word of new alerts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.engine.contracts import Decision


@dataclass
class Mail:
    """One workflow's. `asked`: approvals that it knows of."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    nudges: int = 0
    stopped: bool = False  # somebody has cancelled the run: it begins nothing more
    _asking: int = 0

    def check(self, decision: Decision) -> None:
        """Raises ValueError for an approval that is not waited for, and for another decision on one that was decided; the same is no harm.

        While a question is on its way its name is not known yet, and its answer may come first.
        """
        known = self.decisions.get(decision.approval_id)
        if known is not None and known != decision:
            raise ValueError(f"approval {decision.approval_id} was decided already")
        if decision.approval_id not in self.asked and not self._asking:
            raise ValueError(f"nobody waits for approval {decision.approval_id} here")

    def hear(self, decision: Decision) -> None:
        """The first decision stands."""
        self.decisions.setdefault(decision.approval_id, decision)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around the putting of a question."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
