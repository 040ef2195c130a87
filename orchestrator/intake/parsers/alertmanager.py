"""What does an Alertmanager webhook say (version 4; Grafana's alerting posts the same)? One alert for each of `alerts[]`.

De-duplicated by fingerprint and start. That it is over comes as an alert of its own (`resolved`), with a key of its own.
Labels name what it is about: `severity` and `class` in words, `instance` (or `host`), `user`, `remote_address` (or `src_ip`), `technique`.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Host
from orchestrator.domain.observable import ObservableType, Role
from orchestrator.intake.batch import each
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import someone
from orchestrator.intake.normalize.json_cursor import (
    MAX_NAME,
    MAX_TITLE,
    Reading,
    fingerprint,
    identity,
)
from orchestrator.intake.normalize.observables import Sightings
from orchestrator.intake.normalize.severity import by_word
from orchestrator.intake.normalize.techniques import techniques
from orchestrator.intake.normalize.times import moment

_HOST = ("instance", "host", "hostname", "node", "nodename")
_REMOTE = ("remote_address", "remote_ip", "src_ip", "source_ip", "client_ip")
_CLASSES = {kind.value: kind for kind in AlertClass}


def parse(payload: JSON, now: datetime) -> tuple[Alert, ...]:
    """The alerts of one notification, firing and resolved. Raises NotAnAlert for an empty one, Unparseable."""
    notification = Reading(
        "alertmanager", payload, hint="is this a webhook of Alertmanager, version 4?"
    )
    alerts = notification.at("alerts")
    if not isinstance(alerts.value, list):
        raise alerts.wrong("a list")
    return each(alerts, lambda alert: _parse_one(alert, now))


def _parse_one(alert: Reading, now: datetime) -> Alert:
    labels = alert.required_object("labels")
    name = labels.required_text("alertname", limit=MAX_NAME)
    resolved = alert.text("status") == "resolved"
    seen = Sightings()
    remote = _remote(labels, seen)
    return alert.alert(
        {
            "dedup_key": _dedup_key(alert, resolved=resolved),
            "title": alert.text("annotations", "summary", limit=MAX_TITLE) or name,
            "severity": by_word(labels.text("severity") or labels.text("priority")),
            "alert_class": _classify(labels, name),
            "rule": name,
            "time": moment(alert.at("endsAt" if resolved else "startsAt").value, now),
            "techniques": techniques(
                text for label in ("technique", "attack", "mitre") for text in labels.texts(label)
            ),
            "host": _host(labels, seen),
            "user": seen.account(labels.text("user") or labels.text("username")),
            "remote": remote,
            "observables": seen.all(),
            "resolved": resolved,
        }
    )


def _dedup_key(alert: Reading, *, resolved: bool) -> str:
    mark = alert.exact("fingerprint") or fingerprint(alert.at("labels").value)
    return identity(mark, alert.exact("startsAt") or "-", *(["resolved"] if resolved else []))


def _classify(labels: Reading, name: str) -> AlertClass:
    said = _CLASSES.get((labels.text("class") or "").lower())
    return said or classify.by_pattern(classify.ALERT_NAMES, name) or AlertClass.OTHER


def _host(labels: Reading, seen: Sightings) -> Host | None:
    for label in _HOST:
        address, domain = seen.name(labels.text(label), Role.LOCAL)
        if address or domain:
            return seen.host(None, domain or labels.text("hostname"), address)
    return None


def _remote(labels: Reading, seen: Sightings) -> Endpoint | None:
    ends = (seen.endpoint(labels.text(label), role=Role.REMOTE) for label in _REMOTE)
    end = next((end for end in ends if end and someone(end.address)), None)
    domain = seen.see(ObservableType.DOMAIN, labels.text("remote_domain"), Role.REMOTE)
    return (
        Endpoint(
            address=end.address if end else None, port=end.port if end else None, domain=domain
        )
        if end or domain
        else None
    )
