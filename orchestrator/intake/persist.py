"""How do the alerts of one body get into the store? De-duplicated, joined to incidents, matched to playbooks; all of it or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.alert import Alert, view
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.digest import digest, new_id
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode
from orchestrator.intake import match
from orchestrator.intake.authenticate import REPLAY_WINDOW, NotAuthentic, Reason, Verified
from orchestrator.intake.normalize import enrich
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import alerts, policy_inputs
from orchestrator.store.queries.policy_inputs import KnownAsset
from orchestrator.store.tables import AlertRow, IncidentRow, SourceRow

_LOOKUPS = 400  # names in one statement


class AcceptedAlert(Frozen):
    """One alert of a body."""

    alert_id: str
    incident_id: str
    duplicate: bool


class Accepted(Frozen):
    """What became of a body; `ignored` says why it held no alert. `run_ids`: the runs to dispatch."""

    alerts: tuple[AcceptedAlert, ...] = ()
    run_ids: tuple[str, ...] = ()
    ignored: str | None = None

    @property
    def duplicate(self) -> bool:
        """Whether all of it was known."""
        return bool(self.alerts) and all(alert.duplicate for alert in self.alerts)


async def commit(
    rt: Runtime,
    source: SourceRow,
    found: Sequence[Alert],
    body: bytes,
    verified: Verified,
    now: datetime,
) -> Accepted:
    """Commits the alerts of a body. Raises NotAuthentic for a message id that is a replay; then nothing is kept."""
    arrival = _Arrival(source, body, now)
    found = list({alert.dedup_key: alert for alert in reversed(found)}.values())[
        ::-1
    ]  # the first of each
    async with rt.store.write() as session:
        await lock(session, Lock.ALERT, arrival.names(found, verified.replay_id))
        await arrival.refuse_replay(session, verified)
        before = await alerts.known(session, source.name, _keys(found))
        await alerts.seen_again(session, [alert_id for alert_id, _ in before.values()], now)
        made = await arrival.new(
            session, [alert for alert in found if alert.dedup_key not in before]
        )
        await alerts.add_all(session, arrival.rows)
        await trail.record_all(
            session, [*(arrival.duplicate(*known) for known in before.values()), *arrival.events]
        )
    ids = {row.dedup_key: (row.id, row.incident_id) for row in made} | before
    accepted = [
        AcceptedAlert(alert_id=ids[key][0], incident_id=ids[key][1], duplicate=key in before)
        for key in _keys(found)
    ]
    return Accepted(alerts=tuple(accepted), run_ids=tuple(arrival.run_ids))


class _Arrival:
    """One body on its way in: the rows and events that it comes to."""

    def __init__(self, source: SourceRow, body: bytes, now: datetime) -> None:
        self._source, self._body, self._now = source, body, now
        self._sha256 = hashlib.sha256(body).hexdigest()
        self.rows: list[AlertRow | IncidentRow | Any] = []
        self.events: list[Event] = []
        self.run_ids: list[str] = []

    def names(self, found: Sequence[Alert], replay_id: str | None) -> list[str]:
        """What nobody else may be about to insert: these alerts, their incidents, this message."""
        own = [f"alert {self._source.name} {alert.dedup_key}" for alert in found]
        shared = [
            f"incident {key}" for alert in found if (key := _correlation(self._source, alert))
        ]
        return [*own, *shared, *([f"message {self._source.name} {replay_id}"] if replay_id else [])]

    async def refuse_replay(self, session: AsyncSession, verified: Verified) -> None:
        """A sender that got no answer signs the same message anew, and is answered as before; anything else is a replay."""
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

    async def new(self, session: AsyncSession, found: Sequence[Alert]) -> list[AlertRow]:
        """The rows of alerts that are not known yet, with those of their incidents and runs."""
        if not found:
            return []
        keys = [key for alert in found if (key := _correlation(self._source, alert))]
        since = self._now - timedelta(seconds=self._source.correlate_within)
        incidents = await alerts.open_incidents(session, keys, since)
        made = [
            self._row(alert, self._incident(alert, incidents), first=number == 0)
            for number, alert in enumerate(found)
        ]
        inventory = await _inventory(session, made)
        for row in made:
            row.view = enrich.enriched(row.view, inventory)
        self.rows += made
        await self._match(
            session, [(row, alert.resolved) for row, alert in zip(made, found, strict=True)]
        )
        return made

    async def _match(self, session: AsyncSession, made: Sequence[tuple[AlertRow, bool]]) -> None:
        those = await match.candidates(session)
        matched: list[match.Match] = []
        for row, resolved in made:
            fits, troubles = ([], {}) if resolved else match.matches(those, row)
            matched += fits
            told = {
                "incident_id": row.incident_id,
                "raw_sha256": row.raw_sha256,
                "class": row.alert_class,
                "severity": row.severity,
            }
            self._note(
                EventKind.ALERT_ACCEPTED,
                row.id,
                {**told, **({"triggers_failed": troubles} if troubles else {})},
            )
        started = await match.start(session, matched, self._now, dry=self._source.mode != Mode.LIVE)
        self.rows += started.runs
        self.events += started.events
        self.run_ids += [run.id for run in started.runs]

    def _incident(self, alert: Alert, incidents: dict[str, IncidentRow]) -> IncidentRow:
        key = _correlation(self._source, alert)
        joined = incidents.get(key) if key else None
        if joined is not None:
            joined.alerts, joined.severity = (
                joined.alerts + 1,
                max(joined.severity, int(alert.severity)),
            )
            joined.last_alert_at = max(joined.last_alert_at, self._now)
            return joined
        made = IncidentRow(
            id=new_id("inc"),
            correlation_key=key or digest(["alone", self._source.name, alert.dedup_key]),
            title=alert.title,
            severity=int(alert.severity),
            opened_at=self._now,
            last_alert_at=self._now,
        )
        self.rows.append(made)
        incidents |= {key: made} if key else {}
        return made

    def _row(self, alert: Alert, incident: IncidentRow, *, first: bool) -> AlertRow:
        alert_id, source = new_id("alert"), self._source
        about = {
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
            incident_id=incident.id,
            title=alert.title,
            severity=int(alert.severity),
            alert_class=alert.alert_class,
            view=view(alert, **about, raw_sha256=self._sha256),
            raw=self._body
            if first
            else b"",  # once per body, or a body of thousands of alerts would be kept thousands of times
            raw_sha256=self._sha256,
            received_at=self._now,
            last_seen_at=self._now,
        )

    def duplicate(self, alert_id: str, incident_id: str) -> Event:
        """What the trail says of an alert that came again."""
        told = {"incident_id": incident_id, "raw_sha256": self._sha256}
        actor = f"source:{self._source.name}"
        return trail.event(
            EventKind.ALERT_DUPLICATE, actor=actor, subject=alert_id, data=told, now=self._now
        )

    def _note(self, kind: EventKind, subject: str, told: dict[str, Any]) -> None:
        self.events.append(
            trail.event(
                kind, actor=f"source:{self._source.name}", subject=subject, data=told, now=self._now
            )
        )


async def _inventory(
    session: AsyncSession, made: Sequence[AlertRow]
) -> dict[enrich.Name, KnownAsset]:
    names = list(dict.fromkeys(name for row in made for name in enrich.names(row.view)))
    found: dict[enrich.Name, KnownAsset] = {}
    for start in range(0, len(names), _LOOKUPS):
        rows = await policy_inputs.assets(session, names[start : start + _LOOKUPS])
        found |= {(asset.type, asset.value): asset for asset in rows}
    return found


def _keys(found: Sequence[Alert]) -> list[str]:
    return [alert.dedup_key for alert in found]


def _correlation(source: SourceRow, alert: Alert) -> str | None:
    """What alerts of one incident share; None for an alert without it, which stands alone."""
    host, user, remote = alert.host, alert.user, alert.remote
    value = {
        "host": host
        and (
            host.name or host.address or host.id
        ),  # other products know the name, and only the product its id
        "user": user and (user.name or user.email),
        "remote": remote and (remote.address or remote.domain),
        "rule": alert.rule,
    }.get(source.correlate_by)
    return digest([source.correlate_by, value.lower()]) if value else None
