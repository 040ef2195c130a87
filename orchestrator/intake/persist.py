"""The commit of the alerts of one body, with others that arrive at the same moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from orchestrator.domain.alert import Alert
from orchestrator.intake.answers import Accepted
from orchestrator.intake.arrival.bodies import ArrivingBody
from orchestrator.intake.arrival.transaction import Answers, commit_pieces
from orchestrator.intake.authenticate import NotAuthentic, Verified
from orchestrator.intake.batch import AlertBatch
from orchestrator.intake.delivery import WebhookDelivery
from orchestrator.runtime import Runtime
from orchestrator.store.tables import SourceRow


async def commit(
    rt: Runtime,
    source: SourceRow,
    parsed: AlertBatch,
    body: bytes,
    verified: Verified,
    now: datetime,
    delivery: WebhookDelivery | None = None,
) -> Accepted:
    """Commit the alerts of a body, at least one.

    A large one is committed in pieces, between which other bodies have their turn. Where the
    process ends in between, the sender has no answer, and what was committed is known when it
    sends the body again.

    `delivery`: the request, which is counted, and kept where some of its items could not be read;
    None for a replay.

    Raise NotAuthentic for a replayed message id, and Unavailable where other bodies come first
    again and again.
    """
    first = _first_of_each_key(parsed)
    arriving = ArrivingBody(source, body, verified, now, delivery, parsed.rejected)
    answers: Answers = {}
    for piece in arriving.pieces(first):
        outcome = await rt.arrivals.run(piece, len(piece.alerts), partial(commit_pieces, rt))
        if isinstance(outcome, NotAuthentic):
            raise outcome
        answers |= outcome
    return Accepted.of(tuple(answers[alert.dedup_key] for alert in first), parsed.rejected)


def _first_of_each_key(parsed: Iterable[Alert]) -> list[Alert]:
    first: dict[str, Alert] = {}
    for alert in parsed:
        first.setdefault(alert.dedup_key, alert)
    return list(first.values())
