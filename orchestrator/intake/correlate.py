"""Correlation: which incident an alert joins, and which one it opens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.domain.alert import Alert
from orchestrator.domain.digest import digest, new_id
from orchestrator.store.tables import IncidentRow, SourceRow


@dataclass(slots=True)
class _Joined:
    """What alerts add to an incident that the store has."""

    at: datetime
    new: int = 0
    least_severity: int = 0
    left_out: int = 0


class Incidents:
    """The incidents that the alerts of a group join or open, as if they came one by one.

    The report of an end joins the incident of the alert that it ends, however late it comes. Any
    other alert joins the newest open incident with its correlation key.
    """

    def __init__(
        self, by_key: Mapping[tuple[str, str], str], by_fingerprint: Mapping[tuple[str, str], str]
    ) -> None:
        """Take incidents of the store: by source and key, and by source and fingerprint."""
        self._by_key, self._by_fingerprint = by_key, dict(by_fingerprint)
        self._newest: dict[str, str] = {}
        """The incident of each key that an alert of the group joined last."""
        self._opened: dict[str, IncidentRow] = {}
        self._joined: dict[str, _Joined] = {}

    @property
    def opened(self) -> list[IncidentRow]:
        """The incidents to insert."""
        return list(self._opened.values())

    def joined_values(self) -> Iterator[dict[str, Any]]:
        """Yield what to add to incidents of the store, in the order of their ids."""
        for id_, joined in sorted(self._joined.items()):
            yield {
                "incident": id_,
                "new": joined.new,
                "least_severity": joined.least_severity,
                "at": joined.at,
                "left_out": joined.left_out,
            }

    def join(self, source: SourceRow, alert: Alert, now: datetime) -> str:
        """Return the id of the alert's incident, with the alert counted.

        It is opened where there is none.
        """
        key, end = correlation_key(source, alert), (source.name, fingerprint_of(alert))
        id_ = self._by_fingerprint.get(end) if alert.resolved else None
        if id_ is None and key is not None:
            id_ = self._newest.get(key) or self._by_key.get((source.name, key))
        if id_ is None:
            id_ = self._open(source, alert, key, now)
        else:
            self._count(id_, alert, now)
        if key is not None and not alert.resolved:
            self._newest[key] = id_
        self._by_fingerprint.setdefault(end, id_)
        return id_

    def _open(self, source: SourceRow, alert: Alert, key: str | None, now: datetime) -> str:
        incident = IncidentRow(
            id=new_id("inc"),
            correlation_key=key or digest(["alone", source.name, alert.dedup_key]),
            title=alert.title,
            severity=int(alert.severity),
            incomplete=int(bool(alert.incomplete)),
            opened_at=now,
            last_alert_at=now,
        )
        self._opened[incident.id] = incident
        if key is not None:
            self._newest[key] = incident.id
        return incident.id

    def _count(self, id_: str, alert: Alert, now: datetime) -> None:
        opened = self._opened.get(id_)
        if opened is not None:
            opened.alerts += 1
            opened.severity = max(opened.severity, int(alert.severity))
            opened.last_alert_at = max(opened.last_alert_at, now)
            opened.incomplete += bool(alert.incomplete)
            return
        joined = self._joined.setdefault(id_, _Joined(at=now))
        joined.new += 1
        joined.least_severity = max(joined.least_severity, int(alert.severity))
        joined.at = max(joined.at, now)
        joined.left_out += bool(alert.incomplete)


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
