"""Bodies that arrive, and the pieces in which their alerts are committed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.alert import Alert
from orchestrator.intake.authenticate import Verified
from orchestrator.intake.batch import RejectedItem
from orchestrator.intake.delivery import WebhookDelivery
from orchestrator.intake.matching.triggers import TriggerBudget
from orchestrator.store.tables import SourceRow
from orchestrator.tracing.process import trace_position

MAX_ALERTS = 50
"""The alerts of one piece, which keep the write lock and the event loop for some milliseconds."""


@dataclass(slots=True)
class ArrivingBody:
    """A body of an authenticated source, and how far it is committed."""

    source: SourceRow
    body: bytes
    verified: Verified
    now: datetime
    delivery: WebhookDelivery | None
    """The request, which is counted, and kept where items could not be read; None for a replay."""
    rejected: tuple[RejectedItem, ...] = ()
    sha256: str = field(init=False)
    budget: TriggerBudget = field(default_factory=TriggerBudget)
    """What is left of the triggers' budgets for this body."""
    is_kept: bool = False
    """Whether an alert that is committed holds the body."""
    trace: str | None = field(default_factory=trace_position)
    """The trace of the request."""

    def __post_init__(self) -> None:
        self.sha256 = hashlib.sha256(self.body).hexdigest()

    def pieces(self, alerts: Sequence[Alert]) -> Iterator[Piece]:
        """Yield the pieces in which the alerts, each key once, are committed one by one."""
        for start in range(0, len(alerts), MAX_ALERTS):
            part = alerts[start : start + MAX_ALERTS]
            yield Piece(self, part, is_last=start + MAX_ALERTS >= len(alerts))

    @property
    def message(self) -> tuple[str, str] | None:
        """The source and the signed message id, where the scheme has one."""
        id_ = self.verified.replay_id
        return None if id_ is None else (self.source.name, id_)


@dataclass(frozen=True, slots=True)
class Piece:
    """The alerts of a body that one transaction commits, or some of them."""

    body: ArrivingBody
    alerts: Sequence[Alert]
    is_last: bool
    """Only then are the message id and the delivery recorded: a sender that gets no answer, as the
    process ended before, sends the same bytes again."""

    @property
    def source(self) -> SourceRow:
        """The source."""
        return self.body.source
