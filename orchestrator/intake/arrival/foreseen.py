"""What a group of pieces will commit, with what the triggers say, before its transaction.

Only what others could change meanwhile is left to the transaction, which reads what the store knows
once more. Where that differs, the group is foreseen again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.domain.alert import Alert
from orchestrator.intake.arrival.bodies import ArrivingBody, Piece
from orchestrator.intake.arrival.known import Known
from orchestrator.intake.arrival.rows import alert_row, enrich_rows
from orchestrator.intake.correlate import Incidents
from orchestrator.intake.matching.triggers import TriggerResults, candidates
from orchestrator.runtime import Runtime
from orchestrator.store.tables import AlertRow

_MAX_NAMES = 400  # in one statement


class Overtaken(Exception):
    """Another process changed what was foreseen of this group."""


@dataclass(slots=True)
class ForeseenPiece:
    """What a piece will commit."""

    piece: Piece
    is_replayed: bool = False
    """Whether its message was accepted before; then nothing of it is committed."""
    new: list[tuple[AlertRow, Alert]] = field(default_factory=list)
    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The ids of alert and incident by dedup key, for the alerts that are sent again."""
    triggers: TriggerResults = field(default_factory=TriggerResults)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a group will commit, unless another process comes first."""

    known: Known
    pieces: tuple[ForeseenPiece, ...]
    incidents: Incidents


async def foresee(rt: Runtime, pieces: Sequence[Piece]) -> Foreseen:
    """Return what a group will commit."""
    async with rt.store.reader() as driver:
        known = await Known.load(driver, pieces)
        found, incidents = _join(known, pieces)
        rows = [row for piece in found for row, _ in piece.new]
        await enrich_rows(rt.store, driver, rows)
        playbooks = await candidates(rt.store, driver) if rows else []
    for each in found:
        each.triggers = TriggerResults(each.piece.body.budget)
        for row, alert in each.new:
            if not alert.resolved:
                await each.triggers.evaluate(playbooks, row)
    return Foreseen(known, found, incidents)


def _join(known: Known, pieces: Sequence[Piece]) -> tuple[tuple[ForeseenPiece, ...], Incidents]:
    """Deduplicate and correlate the alerts of all pieces, as if they came one by one."""
    alerts, messages = dict(known.alerts), dict(known.messages)
    incidents = Incidents(known.open_incidents, known.ended_incidents)
    found = []
    for piece in pieces:
        body, source = piece.body, piece.source
        each = ForeseenPiece(piece, is_replayed=_is_replayed(body, messages))
        found.append(each)
        if each.is_replayed:
            continue
        if piece.is_last and body.message is not None:
            messages[body.message] = (body.verified.sent, body.sha256)
        for alert in piece.alerts:
            key = (source.name, alert.dedup_key)
            if key in alerts:
                each.known[alert.dedup_key] = alerts[key]
                continue
            incident = incidents.join(source, alert, body.now)
            row = alert_row(source, alert, incident, body.sha256, body.now)
            row.trace = body.trace
            alerts[key] = (row.id, incident)
            each.new.append((row, alert))
    return tuple(found), incidents


def _is_replayed(body: ArrivingBody, messages: dict[tuple[str, str], tuple[int, str]]) -> bool:
    """Return whether the message was accepted before.

    A sender that got no answer signs the same body again, at a later time.
    """
    before = messages.get(body.message) if body.message is not None else None
    if before is None:
        return False
    sent, sha256 = before
    return not (sha256 == body.sha256 and sent < body.verified.sent)
