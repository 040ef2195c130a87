"""What the store knows of the alerts of a group: read before, and again in its transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from orchestrator.intake.arrival.bodies import Piece
from orchestrator.intake.authenticate import REPLAY_WINDOW
from orchestrator.intake.correlate import correlation_key, fingerprint_of
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.driver import Driver
from orchestrator.store.tables import SourceRow

KEEP_MESSAGES = 2 * REPLAY_WINDOW
"""How long a message id is remembered."""


@dataclass(slots=True)
class Known:
    """What the store knows. Two that are equal lead to the same rows."""

    alerts: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """The ids of alert and incident, by source and dedup key."""
    open_incidents: dict[tuple[str, str], str] = field(default_factory=dict)
    """The newest open incident, by source, as each looks back its own time, and key."""
    ended_incidents: dict[tuple[str, str], str] = field(default_factory=dict)
    """The incident of the alert that the report of an end is about, by source and fingerprint."""
    messages: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """When a message was sent, and the digest of its body, by source and message id."""

    @classmethod
    async def load(cls, driver: Driver, pieces: Sequence[Piece]) -> Known:
        """Return what the store knows of the alerts of these pieces."""
        known = cls()
        by_source: dict[str, list[Piece]] = defaultdict(list)
        for piece in pieces:
            by_source[piece.source.name].append(piece)
        for of_source in by_source.values():
            await known._load_source(driver, of_source[-1].source, of_source)
        for piece in pieces:
            await known._load_message(driver, piece)
        return known

    async def _load_source(
        self, driver: Driver, source: SourceRow, pieces: Sequence[Piece]
    ) -> None:
        alerts = [alert for piece in pieces for alert in piece.alerts]
        found = await statements.KNOWN_ALERTS.rows(
            driver, {"source": source.name, "keys": _distinct(alert.dedup_key for alert in alerts)}
        )
        self.alerts |= {(source.name, key): (id_, incident) for key, id_, incident in found}
        new = [alert for alert in alerts if (source.name, alert.dedup_key) not in self.alerts]
        keys = _distinct(key for alert in new if (key := correlation_key(source, alert)))
        if keys:
            now = min(piece.body.now for piece in pieces)
            rows = await statements.OPEN_INCIDENTS.rows(
                driver, {"keys": keys, "since": now - timedelta(seconds=source.correlate_within)}
            )
            self.open_incidents |= {(source.name, key): incident for key, incident in rows}
        ends = _distinct(fingerprint_of(alert) for alert in new if alert.resolved)
        if ends:
            rows = await statements.INCIDENTS_OF_FINGERPRINTS.rows(
                driver, {"source": source.name, "fingerprints": ends}
            )
            self.ended_incidents |= {(source.name, end): incident for end, incident in rows}

    async def _load_message(self, driver: Driver, piece: Piece) -> None:
        message = piece.body.message
        if message is None:
            return
        source, id_ = message
        found = await statements.MESSAGE.rows(
            driver, {"source": source, "message": id_, "since": piece.body.now - KEEP_MESSAGES}
        )
        if found:
            self.messages[message] = found[0][0], found[0][1]


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
