"""What reaches a running workflow from outside: word that people have decided, and of new alerts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.contracts.messages import Decision


@dataclass
class Mail:
    """One workflow's. `asked`: approvals that it knows of; `heard`: those of which somebody says that they are decided.

    What the word says of the decision is not used: whoever can reach Temporal can write one. The decision is read from the store.
    """

    heard: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    nudges: int = 0
    stopped: bool = False  # somebody has cancelled the run: it begins nothing more
    _asking: int = 0

    def check(self, decision: Decision) -> None:
        """Raises ValueError for an approval that is not waited for.

        While a question is on its way its name is not known yet, and its answer may come first.
        """
        if decision.approval_id not in self.asked and not self._asking:
            raise ValueError(f"nobody waits for approval {decision.approval_id} here")

    def hear(self, decision: Decision) -> None:
        """There is something to look at."""
        self.heard.add(decision.approval_id)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around the putting of a question."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
