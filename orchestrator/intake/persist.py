"""The transaction that deduplicates, correlates, matches and commits the alerts of one body."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.alert import Alert
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.intake.answers import Accepted, AcceptedAlert, Cover
from orchestrator.intake.authenticate import REPLAY_WINDOW, NotAuthentic, Reason, Verified
from orchestrator.intake.batch import AlertBatch
from orchestrator.intake.correlate import Incidents, correlation_key
from orchestrator.intake.delivery import WebhookDelivery
from orchestrator.intake.keep_rejected import keep_items
from orchestrator.intake.matching import start_runs
from orchestrator.intake.matching.foreseen import Foreseen, Overtaken, foresee
from orchestrator.intake.matching.set_aside import set_aside
from orchestrator.intake.matching.triggers import Match
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import alerts
from orchestrator.store.queries.sources import activity
from orchestrator.store.tables import AlertRow, IncidentRow, SourceRow

_ATTEMPTS = 5


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

    `delivery`: the request, which is counted, and kept where some of its items could not be read;
    None for a replay.

    Raise NotAuthentic for a replayed message id, and Unavailable where other bodies come first
    again and again; then nothing is stored.
    """
    first = _first_of_each_key(parsed)
    for _ in range(_ATTEMPTS):
        foreseen = await foresee(rt, source, first, body, now)
        arrival = _Arrival(source, body, now, foreseen, rt.settings.source_open_runs)
        try:
            async with rt.store.write() as session:
                await arrival.commit(session, first, verified)
                if delivery is not None:
                    outcomes = arrival.outcomes
                    if parsed.rejected:
                        await keep_items(session, rt, source, delivery, parsed.rejected, now)
                        outcomes |= {"unreadable", "partial"}
                    await activity.count(session, source.name, outcomes, now)
        except Overtaken:
            continue
        answers = arrival.answers
        return Accepted.of(tuple(answers[alert.dedup_key] for alert in first), parsed.rejected)
    raise Unavailable("alerts of the same incidents arrive at the same time; send them again")


class _Arrival:
    """The rows and events that result from one body."""

    def __init__(
        self, source: SourceRow, body: bytes, now: datetime, foreseen: Foreseen, most_open: int
    ) -> None:
        self._most_open = most_open
        self._source, self._body, self._now, self._foreseen = source, body, now, foreseen
        self._sha256 = hashlib.sha256(body).hexdigest()
        self._rows: list[AlertRow | IncidentRow | Any] = []
        self._events: list[Event] = []
        self.answers: dict[str, AcceptedAlert] = {}
        """What the sender learns, by dedup key."""
        self._matched: dict[str, list[str]] = {}
        self._run_ids: dict[str, list[str]] = defaultdict(list)
        self._deferred: dict[str, list[str]] = defaultdict(list)
        self._covers: dict[str, list[Cover]] = defaultdict(list)

    @property
    def outcomes(self) -> set[activity.Outcome]:
        """What the body counts as."""
        return {"duplicates" if all(it.duplicate for it in self.answers.values()) else "accepted"}

    async def commit(
        self, session: AsyncSession, parsed: Sequence[Alert], verified: Verified
    ) -> None:
        """Persist the alerts, each key once. Raise NotAuthentic, Overtaken."""
        keys = [alert.dedup_key for alert in parsed]
        await lock(session, Lock.ALERT, self._lock_names(parsed, verified.replay_id))
        await self._refuse_replay(session, verified)
        known = await alerts.known(session, self._source.name, keys)
        await alerts.count_again(session, [alert_id for alert_id, _ in known.values()], self._now)
        new = [alert for alert in parsed if alert.dedup_key not in known]
        rows = await self._add_new(session, new) if new else []
        await alerts.add_all(session, self._rows)
        again = [self._duplicate_event(*ids) for ids in known.values()]
        await trail.record_all(session, [*again, *self._events])
        self.answers = {row.dedup_key: self._answer(row) for row in rows}
        self.answers |= {
            key: AcceptedAlert(alert_id=alert_id, incident_id=incident_id, duplicate=True)
            for key, (alert_id, incident_id) in known.items()
        }

    def _lock_names(self, parsed: Sequence[Alert], replay_id: str | None) -> list[str]:
        """Return the names to lock: of these alerts, their incidents and this message."""
        own = [f"alert {self._source.name} {alert.dedup_key}" for alert in parsed]
        shared = [
            f"incident {key}" for alert in parsed if (key := correlation_key(self._source, alert))
        ]
        return [*own, *shared, *([f"message {self._source.name} {replay_id}"] if replay_id else [])]

    async def _refuse_replay(self, session: AsyncSession, verified: Verified) -> None:
        """Raise NotAuthentic for a replay.

        A sender that got no answer may sign the same message again.
        """
        keep = 2 * REPLAY_WINDOW
        if verified.replay_id is None:
            return
        if not await alerts.remember(
            session,
            self._source.name,
            verified.replay_id,
            verified.sent,
            self._sha256,
            self._now,
            keep,
        ):
            raise NotAuthentic(Reason.REPLAYED)

    async def _add_new(self, session: AsyncSession, parsed: Sequence[Alert]) -> list[AlertRow]:
        """Add the rows of new alerts, of their incidents and of the runs that they start.

        Return the alerts' rows. Raise Overtaken.
        """
        opened = self._foreseen.opened
        incidents = await Incidents.load(session, self._source, parsed, self._now, opened)
        rows = [self._foreseen.row(alert, incidents.join(alert).id) for alert in parsed]
        rows[0].raw = self._body  # once per body, which may hold thousands of alerts
        self._rows += [*incidents.opened, *rows]
        await self._match(session, list(zip(rows, parsed, strict=True)))
        return rows

    async def _match(self, session: AsyncSession, rows: Sequence[tuple[AlertRow, Alert]]) -> None:
        triggers = self._foreseen.triggers
        matched: list[Match] = []
        for row, alert in rows:
            matches, errors = triggers.by_alert.get(row.id, ([], {}))
            matched += matches
            self._matched[row.id] = start_runs.live_names(matches)
            data = {
                "incident_id": row.incident_id,
                "raw_sha256": row.raw_sha256,
                "class": row.alert_class,
                "severity": row.severity,
            }
            data |= {"triggers_failed": errors} if errors else {}
            data |= {"incomplete": list(map(str, alert.incomplete))} if alert.incomplete else {}
            self._note(EventKind.ALERT_ACCEPTED, row.id, data)
        started = await start_runs.start(
            session,
            matched,
            self._now,
            dry=self._source.mode != Mode.LIVE,
            most_open=self._most_open,
        )
        self._rows += started.runs
        self._events += started.events
        for run in started.runs:
            begins = run.status is not RunStatus.DEFERRED
            (self._run_ids if begins else self._deferred)[run.alert_id or ""].append(run.id)
        for covered in started.covered:
            cover = Cover(
                playbook=covered.match.candidate.plan.playbook,
                run_id=covered.run_id,
                key=covered.match.key,
                expires_at=covered.until,
            )
            self._covers[covered.match.alert.id].append(cover)
        await set_aside(session, triggers.exceeded, self._now)

    def _answer(self, row: AlertRow) -> AcceptedAlert:
        """Return what the sender learns about a new alert."""
        return AcceptedAlert(
            alert_id=row.id,
            incident_id=row.incident_id,
            duplicate=False,
            matched=tuple(self._matched.get(row.id, ())),
            run_ids=tuple(self._run_ids.get(row.id, ())),
            deferred_run_ids=tuple(self._deferred.get(row.id, ())),
            covered_by=tuple(self._covers.get(row.id, ())),
            incomplete=row.view["incomplete"],
        )

    def _duplicate_event(self, alert_id: str, incident_id: str) -> Event:
        """Return the audit event of an alert that was sent again."""
        data = {"incident_id": incident_id, "raw_sha256": self._sha256}
        actor = f"source:{self._source.name}"
        return trail.event(
            EventKind.ALERT_DUPLICATE, actor=actor, subject=alert_id, data=data, now=self._now
        )

    def _note(self, kind: EventKind, subject: str, data: dict[str, Any]) -> None:
        self._events.append(
            trail.event(
                kind, actor=f"source:{self._source.name}", subject=subject, data=data, now=self._now
            )
        )


def _first_of_each_key(parsed: Iterable[Alert]) -> list[Alert]:
    first: dict[str, Alert] = {}
    for alert in parsed:
        first.setdefault(alert.dedup_key, alert)
    return list(first.values())
