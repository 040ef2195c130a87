"""Correlation: which incident an alert joins, and which one it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.alert import Alert
from orchestrator.domain.digest import digest, new_id
from orchestrator.store.queries import alerts
from orchestrator.store.tables import IncidentRow, SourceRow


class Incidents:
    """The incidents that the alerts of one body join or open.

    The report of an end joins the incident of the alert that it ends, however late it comes. Any
    other alert joins the newest open incident with its correlation key.
    """

    def __init__(
        self,
        source: SourceRow,
        now: datetime,
        by_key: dict[str, IncidentRow],
        by_fingerprint: dict[str, IncidentRow],
        ids: Mapping[str, str],
    ) -> None:
        self._source, self._now, self._ids = source, now, ids
        self._by_key, self._by_fingerprint = by_key, by_fingerprint
        self.opened: list[IncidentRow] = []
        """The incidents to insert."""

    @classmethod
    async def load(
        cls,
        session: AsyncSession,
        source: SourceRow,
        parsed: Sequence[Alert],
        now: datetime,
        ids: Mapping[str, str] = MappingProxyType({}),
    ) -> Incidents:
        """Load and lock the incidents that these alerts may join.

        `ids`: the id of the incident that an alert opens, by its dedup key.
        """
        keys = [key for alert in parsed if (key := correlation_key(source, alert))]
        ends = [fingerprint_of(alert) for alert in parsed if alert.resolved]
        since = now - timedelta(seconds=source.correlate_within)
        by_key = await alerts.open_incident_ids(session, keys, since)
        by_end = await alerts.incident_ids_of_fingerprints(session, source.name, ends)
        rows = await alerts.lock_incidents(session, {*by_key.values(), *by_end.values()})
        return cls(
            source,
            now,
            {key: rows[id_] for key, id_ in by_key.items()},
            {fingerprint: rows[id_] for fingerprint, id_ in by_end.items() if id_ in rows},
            ids,
        )

    def join(self, alert: Alert) -> IncidentRow:
        """Return the alert's incident, with the alert counted; open it where there is none."""
        key, fingerprint = correlation_key(self._source, alert), fingerprint_of(alert)
        ended = self._by_fingerprint.get(fingerprint) if alert.resolved else None
        incident = ended or (self._by_key.get(key) if key else None)
        if incident is None:
            incident = self._open(alert, key)
        else:
            incident.alerts += 1
            incident.severity = max(incident.severity, int(alert.severity))
            incident.last_alert_at = max(incident.last_alert_at, self._now)
        incident.incomplete += bool(alert.incomplete)
        self._by_fingerprint.setdefault(fingerprint, incident)
        return incident

    def _open(self, alert: Alert, key: str | None) -> IncidentRow:
        incident = IncidentRow(
            id=self._ids.get(alert.dedup_key) or new_id("inc"),
            correlation_key=key or digest(["alone", self._source.name, alert.dedup_key]),
            title=alert.title,
            severity=int(alert.severity),
            incomplete=0,
            opened_at=self._now,
            last_alert_at=self._now,
        )
        self.opened.append(incident)
        self._by_key |= {key: incident} if key else {}
        return incident


def fingerprint_of(alert: Alert) -> str:
    """Return what an alert and the report of its end share."""
    return alert.fingerprint or alert.dedup_key


def correlation_key(source: SourceRow, alert: Alert) -> str | None:
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
