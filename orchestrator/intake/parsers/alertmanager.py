"""Parser for Alertmanager webhooks, version 4, which Grafana's alerting sends as well.

Each of `alerts[]` is one alert.

Alerts are deduplicated by fingerprint and start time. A resolved alert is an alert of its own, with
its own key, and ends the alert with its fingerprint. These labels are read: `severity` and `class`
in words, `instance` (or `host`), `user`, `remote_address` (or `src_ip`), `technique`.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Host
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.batch import AlertBatch, parse_batch
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import is_unicast_host
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key, fingerprint
from orchestrator.intake.normalize.observables import ObservableCollector
from orchestrator.intake.normalize.severity import severity_of_word
from orchestrator.intake.normalize.times import canonical_moment, read_time

_HOST = ("instance", "host", "hostname", "node", "nodename")
_REMOTE = ("remote_address", "remote_ip", "src_ip", "source_ip", "client_ip")
_CLASSES = {kind.value: kind for kind in AlertClass}


def parse(payload: JSON, now: datetime) -> AlertBatch:
    """Return the alerts of one notification, firing and resolved.

    Raise NotAnAlert for an empty one, Unparseable.
    """
    notification = JsonCursor(
        "alertmanager", payload, hint="is this a webhook of Alertmanager, version 4?"
    )
    alerts = notification.at("alerts")
    if not isinstance(alerts.value, list):
        raise alerts.wrong("a list")
    return parse_batch(alerts, lambda alert: _parse_one(alert, now))


def _parse_one(alert: JsonCursor, now: datetime) -> Alert:
    labels = alert.required_object("labels")
    name = labels.required_text("alertname", limit=MAX_NAME)
    resolved = alert.text("status") == "resolved"
    observables = ObservableCollector(alert.omissions)
    remote = _remote(labels, observables)
    return alert.alert(
        {
            "dedup_key": _dedup_key(alert, resolved=resolved),
            "title": alert.text("annotations", "summary", limit=MAX_TITLE) or name,
            "severity": severity_of_word(labels.text("severity") or labels.text("priority")),
            "alert_class": _classify(labels, name),
            "rule": name,
            "time": read_time(now, alert.at("endsAt" if resolved else "startsAt")),
            "techniques": classify.parse_techniques(
                text for label in ("technique", "attack", "mitre") for text in labels.texts(label)
            ),
            "host": _host(labels, observables),
            "user": observables.add_user(labels.text("user") or labels.text("username")),
            "remote": remote,
            "observables": observables.all(),
            "resolved": resolved,
            "fingerprint": dedup_key(_fingerprint(alert)),
        }
    )


def _dedup_key(alert: JsonCursor, *, resolved: bool) -> str:
    started = canonical_moment(alert.exact("startsAt") or "-")
    return dedup_key(_fingerprint(alert), started, *(["resolved"] if resolved else []))


def _fingerprint(alert: JsonCursor) -> str:
    return alert.exact("fingerprint") or fingerprint(alert.at("labels").value)


def _classify(labels: JsonCursor, name: str) -> AlertClass:
    named = _CLASSES.get((labels.text("class") or "").lower())
    return named or classify.by_pattern(classify.ALERT_NAMES, name) or AlertClass.OTHER


def _host(labels: JsonCursor, observables: ObservableCollector) -> Host | None:
    for label in _HOST:
        address, domain = observables.add_server_name(labels.text(label), ObservableRole.LOCAL)
        if address or domain:
            return observables.add_host(None, domain or labels.text("hostname"), address)
    return None


def _remote(labels: JsonCursor, observables: ObservableCollector) -> Endpoint | None:
    ends = (
        observables.add_endpoint(labels.text(label), role=ObservableRole.REMOTE)
        for label in _REMOTE
    )
    end = next((end for end in ends if end and is_unicast_host(end.address)), None)
    domain = observables.add(
        ObservableType.DOMAIN, labels.text("remote_domain"), ObservableRole.REMOTE
    )
    return (
        Endpoint(
            address=end.address if end else None, port=end.port if end else None, domain=domain
        )
        if end or domain
        else None
    )
