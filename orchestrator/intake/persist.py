"""The transaction that deduplicates, correlates, matches and commits the alerts of one body."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.alert import Alert, alert_view
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.run import Mode
from orchestrator.intake import match
from orchestrator.intake.answers import Accepted, AcceptedAlert, Cover
from orchestrator.intake.authenticate import REPLAY_WINDOW, NotAuthentic, Reason, Verified
from orchestrator.intake.batch import AlertBatch
from orchestrator.intake.correlate import Incidents, correlation_key, fingerprint_of
from orchestrator.intake.delivery import WebhookDelivery
from orchestrator.intake.keep_rejected import keep_items
from orchestrator.intake.normalize import enrich
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import alerts, policy_inputs
from orchestrator.store.queries.policy_inputs import KnownAsset
from orchestrator.store.queries.sources import activity
from orchestrator.store.tables import AlertRow, IncidentRow, SourceRow

_MAX_NAMES = 400  # in one statement


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

    Raise NotAuthentic for a replayed message id; then nothing is stored.
    """
    arrival = _Arrival(source, body, now)
    first = _first_of_each_key(parsed)
    async with rt.store.write() as session:
        await lock(session, Lock.ALERT, arrival.lock_names(first, verified.replay_id))
        await arrival.refuse_replay(session, verified)
        known = await alerts.known(session, source.name, _keys(first))
        await alerts.count_again(session, [alert_id for alert_id, _ in known.values()], now)
        new = await arrival.add_new(
            session, [alert for alert in first if alert.dedup_key not in known]
        )
        await alerts.add_all(session, arrival.rows)
        if delivery is not None:
            outcomes: set[activity.Outcome] = {"accepted" if new else "duplicates"}
            if parsed.rejected:
                await keep_items(session, rt, source, delivery, parsed.rejected, now)
                outcomes |= {"unreadable", "partial"}
            await activity.count(session, source.name, outcomes, now)
        await trail.record_all(
            session, [*(arrival.duplicate_event(*ids) for ids in known.values()), *arrival.events]
        )
    answers = {row.dedup_key: arrival.answer(row) for row in new}
    again = {
        key: AcceptedAlert(alert_id=alert_id, incident_id=incident_id, duplicate=True)
        for key, (alert_id, incident_id) in known.items()
    }
    return Accepted.of(tuple((answers | again)[key] for key in _keys(first)), parsed.rejected)


class _Arrival:
    """The rows and events that result from one body."""

    def __init__(self, source: SourceRow, body: bytes, now: datetime) -> None:
        self._source, self._body, self._now = source, body, now
        self._sha256 = hashlib.sha256(body).hexdigest()
        self.rows: list[AlertRow | IncidentRow | Any] = []
        self.events: list[Event] = []
        self._matched: dict[str, list[str]] = {}
        self._run_ids: dict[str, list[str]] = defaultdict(list)
        self._covers: dict[str, list[Cover]] = defaultdict(list)

    def lock_names(self, parsed: Sequence[Alert], replay_id: str | None) -> list[str]:
        """Return the names to lock: of these alerts, their incidents and this message."""
        own = [f"alert {self._source.name} {alert.dedup_key}" for alert in parsed]
        shared = [
            f"incident {key}" for alert in parsed if (key := correlation_key(self._source, alert))
        ]
        return [*own, *shared, *([f"message {self._source.name} {replay_id}"] if replay_id else [])]

    async def refuse_replay(self, session: AsyncSession, verified: Verified) -> None:
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

    async def add_new(self, session: AsyncSession, parsed: Sequence[Alert]) -> list[AlertRow]:
        """Add the rows of new alerts, of their incidents and of the runs that they start.

        Return the alerts' rows.
        """
        if not parsed:
            return []
        incidents = await Incidents.load(session, self._source, parsed, self._now)
        rows = [
            self._row(alert, incidents.join(alert), first=number == 0)
            for number, alert in enumerate(parsed)
        ]
        inventory = await load_inventory(session, rows)
        for row in rows:
            row.view = enrich.enrich(row.view, inventory)
        self.rows += [*incidents.opened, *rows]
        await self._match(session, list(zip(rows, parsed, strict=True)))
        return rows

    async def _match(self, session: AsyncSession, rows: Sequence[tuple[AlertRow, Alert]]) -> None:
        candidates = await match.candidates(session)
        matched: list[match.Match] = []
        for row, alert in rows:
            matches, errors = ([], {}) if alert.resolved else match.match_triggers(candidates, row)
            matched += matches
            self._matched[row.id] = match.live_names(matches)
            data = {
                "incident_id": row.incident_id,
                "raw_sha256": row.raw_sha256,
                "class": row.alert_class,
                "severity": row.severity,
            }
            data |= {"triggers_failed": errors} if errors else {}
            data |= {"incomplete": list(map(str, alert.incomplete))} if alert.incomplete else {}
            self._note(EventKind.ALERT_ACCEPTED, row.id, data)
        started = await match.start(session, matched, self._now, dry=self._source.mode != Mode.LIVE)
        self.rows += started.runs
        self.events += started.events
        for run in started.runs:
            self._run_ids[run.alert_id or ""].append(run.id)
        for covered in started.covered:
            cover = Cover(
                playbook=covered.match.candidate.plan.playbook,
                run_id=covered.run_id,
                key=covered.match.key,
                expires_at=covered.until,
            )
            self._covers[covered.match.alert.id].append(cover)

    def answer(self, row: AlertRow) -> AcceptedAlert:
        """Return what the sender learns about a new alert."""
        return AcceptedAlert(
            alert_id=row.id,
            incident_id=row.incident_id,
            duplicate=False,
            matched=tuple(self._matched.get(row.id, ())),
            run_ids=tuple(self._run_ids.get(row.id, ())),
            covered_by=tuple(self._covers.get(row.id, ())),
            incomplete=row.view["incomplete"],
        )

    def _row(self, alert: Alert, incident: IncidentRow, *, first: bool) -> AlertRow:
        alert_id, source = new_id("alert"), self._source
        ids = {
            "alert_id": alert_id,
            "incident_id": incident.id,
            "source": source.name,
            "product": source.product,
        }
        return AlertRow(
            id=alert_id,
            source=source.name,
            product=source.product,
            dedup_key=alert.dedup_key,
            fingerprint=fingerprint_of(alert),
            incident_id=incident.id,
            title=alert.title,
            severity=int(alert.severity),
            alert_class=alert.alert_class,
            view=alert_view(alert, **ids, raw_sha256=self._sha256),
            raw=self._body if first else b"",  # once per body, which may hold thousands of alerts
            raw_sha256=self._sha256,
            received_at=self._now,
            last_seen_at=self._now,
        )

    def duplicate_event(self, alert_id: str, incident_id: str) -> Event:
        """Return the audit event of an alert that was sent again."""
        data = {"incident_id": incident_id, "raw_sha256": self._sha256}
        actor = f"source:{self._source.name}"
        return trail.event(
            EventKind.ALERT_DUPLICATE, actor=actor, subject=alert_id, data=data, now=self._now
        )

    def _note(self, kind: EventKind, subject: str, data: dict[str, Any]) -> None:
        self.events.append(
            trail.event(
                kind, actor=f"source:{self._source.name}", subject=subject, data=data, now=self._now
            )
        )


async def load_inventory(
    session: AsyncSession, rows: Sequence[AlertRow]
) -> dict[enrich.Name, KnownAsset]:
    """Return what the inventory knows of the hosts and users of alerts, by name."""
    names = list(dict.fromkeys(name for row in rows for name in enrich.asset_names(row.view)))
    inventory: dict[enrich.Name, KnownAsset] = {}
    for start in range(0, len(names), _MAX_NAMES):
        assets = await policy_inputs.find_assets(session, names[start : start + _MAX_NAMES])
        inventory |= {(asset.type, asset.value): asset for asset in assets}
    return inventory


def _first_of_each_key(parsed: Iterable[Alert]) -> list[Alert]:
    first: dict[str, Alert] = {}
    for alert in parsed:
        first.setdefault(alert.dedup_key, alert)
    return list(first.values())


def _keys(parsed: Sequence[Alert]) -> list[str]:
    return [alert.dedup_key for alert in parsed]
