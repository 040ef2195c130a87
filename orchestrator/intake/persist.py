"""The transaction that deduplicates, correlates, matches and commits the alerts of one body."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.alert import Alert, alert_view
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

_MAX_NAMES = 400  # in one statement


_IDS: dict[str, JsonValue] = {
    "alert_id": "alert_019a8c7d21f04b6c1e2f3a4b5c6d",
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "duplicate": False,
}


class AcceptedAlert(Frozen):
    """One committed alert of a request."""

    model_config = ConfigDict(json_schema_extra={"example": _IDS})

    alert_id: str
    incident_id: str
    duplicate: Annotated[bool, Field(description="Whether the source has sent it before.")]


class Accepted(Frozen):
    """The committed alerts of a request. The ids at the top are those of its first alert."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {**_IDS, "alerts": [_IDS], "run_ids": ["run_019a8c7d21f04b6c1e2f3a4b5c6d"]}
        }
    )

    alert_id: str
    incident_id: str
    duplicate: Annotated[
        bool,
        Field(description="Whether every alert has been sent before; then the status is 200."),
    ]
    alerts: Annotated[tuple[AcceptedAlert, ...], Field(min_length=1)]
    run_ids: Annotated[tuple[str, ...], Field(description="The runs that these alerts start.")]


class Ignored(Frozen):
    """A request without an alert, such as a flow record or a heartbeat. Nothing of it is stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"ignored": "suricata: event_type 'flow' is telemetry, not an alert"}
        }
    )

    ignored: Annotated[str, Field(description="What the request holds instead of an alert.")]


async def commit(
    rt: Runtime,
    source: SourceRow,
    parsed: Sequence[Alert],
    body: bytes,
    verified: Verified,
    now: datetime,
) -> Accepted:
    """Commit the alerts of a body, at least one.

    Raise NotAuthentic for a replayed message id; then nothing is stored.
    """
    arrival = _Arrival(source, body, now)
    parsed = _first_of_each_key(parsed)
    async with rt.store.write() as session:
        await lock(session, Lock.ALERT, arrival.lock_names(parsed, verified.replay_id))
        await arrival.refuse_replay(session, verified)
        known = await alerts.known(session, source.name, _keys(parsed))
        await alerts.count_again(session, [alert_id for alert_id, _ in known.values()], now)
        new = await arrival.add_new(
            session, [alert for alert in parsed if alert.dedup_key not in known]
        )
        await alerts.add_all(session, arrival.rows)
        await trail.record_all(
            session, [*(arrival.duplicate_event(*ids) for ids in known.values()), *arrival.events]
        )
    ids = {row.dedup_key: (row.id, row.incident_id) for row in new} | known
    accepted = tuple(
        AcceptedAlert(alert_id=ids[key][0], incident_id=ids[key][1], duplicate=key in known)
        for key in _keys(parsed)
    )
    return Accepted(
        alert_id=accepted[0].alert_id,
        incident_id=accepted[0].incident_id,
        duplicate=all(alert.duplicate for alert in accepted),
        alerts=accepted,
        run_ids=tuple(arrival.run_ids),
    )


class _Arrival:
    """The rows and events that result from one body."""

    def __init__(self, source: SourceRow, body: bytes, now: datetime) -> None:
        self._source, self._body, self._now = source, body, now
        self._sha256 = hashlib.sha256(body).hexdigest()
        self.rows: list[AlertRow | IncidentRow | Any] = []
        self.events: list[Event] = []
        self.run_ids: list[str] = []

    def lock_names(self, parsed: Sequence[Alert], replay_id: str | None) -> list[str]:
        """Return the names to lock: of these alerts, their incidents and this message."""
        own = [f"alert {self._source.name} {alert.dedup_key}" for alert in parsed]
        shared = [
            f"incident {key}" for alert in parsed if (key := _correlation_key(self._source, alert))
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
        keys = [key for alert in parsed if (key := _correlation_key(self._source, alert))]
        since = self._now - timedelta(seconds=self._source.correlate_within)
        incidents = await alerts.open_incidents(session, keys, since)
        rows = [
            self._row(alert, self._incident(alert, incidents), first=number == 0)
            for number, alert in enumerate(parsed)
        ]
        inventory = await _inventory(session, rows)
        for row in rows:
            row.view = enrich.enrich(row.view, inventory)
        self.rows += rows
        await self._match(
            session, [(row, alert.resolved) for row, alert in zip(rows, parsed, strict=True)]
        )
        return rows

    async def _match(self, session: AsyncSession, rows: Sequence[tuple[AlertRow, bool]]) -> None:
        candidates = await match.candidates(session)
        matched: list[match.Match] = []
        for row, resolved in rows:
            matches, errors = ([], {}) if resolved else match.match_triggers(candidates, row)
            matched += matches
            data = {
                "incident_id": row.incident_id,
                "raw_sha256": row.raw_sha256,
                "class": row.alert_class,
                "severity": row.severity,
            }
            self._note(
                EventKind.ALERT_ACCEPTED,
                row.id,
                {**data, **({"triggers_failed": errors} if errors else {})},
            )
        started = await match.start(session, matched, self._now, dry=self._source.mode != Mode.LIVE)
        self.rows += started.runs
        self.events += started.events
        self.run_ids += [run.id for run in started.runs]

    def _incident(self, alert: Alert, incidents: dict[str, IncidentRow]) -> IncidentRow:
        key = _correlation_key(self._source, alert)
        joined = incidents.get(key) if key else None
        if joined is not None:
            joined.alerts += 1
            joined.severity = max(joined.severity, int(alert.severity))
            joined.last_alert_at = max(joined.last_alert_at, self._now)
            return joined
        incident = IncidentRow(
            id=new_id("inc"),
            correlation_key=key or digest(["alone", self._source.name, alert.dedup_key]),
            title=alert.title,
            severity=int(alert.severity),
            opened_at=self._now,
            last_alert_at=self._now,
        )
        self.rows.append(incident)
        incidents |= {key: incident} if key else {}
        return incident

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


async def _inventory(
    session: AsyncSession, rows: Sequence[AlertRow]
) -> dict[enrich.Name, KnownAsset]:
    names = list(dict.fromkeys(name for row in rows for name in enrich.asset_names(row.view)))
    inventory: dict[enrich.Name, KnownAsset] = {}
    for start in range(0, len(names), _MAX_NAMES):
        assets = await policy_inputs.find_assets(session, names[start : start + _MAX_NAMES])
        inventory |= {(asset.type, asset.value): asset for asset in assets}
    return inventory


def _first_of_each_key(parsed: Sequence[Alert]) -> list[Alert]:
    first: dict[str, Alert] = {}
    for alert in parsed:
        first.setdefault(alert.dedup_key, alert)
    return list(first.values())


def _keys(parsed: Sequence[Alert]) -> list[str]:
    return [alert.dedup_key for alert in parsed]


def _correlation_key(source: SourceRow, alert: Alert) -> str | None:
    """Return what the alerts of one incident share; None where an alert lacks it."""
    host, user, remote = alert.host, alert.user, alert.remote
    value = {
        # The name first: other products know it, but not this product's id.
        "host": host and (host.name or host.address or host.id),
        "user": user and (user.name or user.email),
        "remote": remote and (remote.address or remote.domain),
        "rule": alert.rule,
    }.get(source.correlate_by)
    return digest([source.correlate_by, value.lower()]) if value else None
