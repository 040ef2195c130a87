"""Parser for CrowdSec alerts: one, or the list that the http plugin sends with `{{.|toJson}}`.

Alerts are deduplicated by uuid, else by machine, id and start, else by content. CrowdSec has no
severity: a scan is low, a simulated scenario informational, anything else medium. User names that
an attacker tried are observables, never the alert's user: otherwise guessing a name would be enough
to lock its owner out.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Severity
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.batch import AlertBatch, parse_batch
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import is_unicast_host
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key, fingerprint
from orchestrator.intake.normalize.observables import ObservableCollector
from orchestrator.intake.normalize.times import canonical_moment, read_time

_MAX_EVENTS = 50


def parse(payload: JSON, now: datetime) -> AlertBatch:
    """Return the alerts in one CrowdSec alert or a list of them. Raise Unparseable."""
    body = JsonCursor("crowdsec", payload, hint="is the plugin's format {{.|toJson}}?")
    return parse_batch(body, lambda alert: _parse_one(alert, now))


def _parse_one(alert: JsonCursor, now: datetime) -> Alert:
    scenario = alert.required_text("scenario", limit=MAX_NAME)
    source = alert.required_object("source")
    kind = classify.by_pattern(classify.CROWDSEC_SCENARIOS, scenario) or AlertClass.OTHER
    observables = ObservableCollector(alert.omissions)
    remote = _remote(source, observables)
    host = observables.add_host(alert.text("machine_id"), None, None)
    _add_events(alert, observables)
    return alert.alert(
        {
            "dedup_key": _dedup_key(alert),
            "title": alert.text("message", limit=MAX_TITLE) or scenario,
            "severity": _severity(alert, kind),
            "alert_class": kind,
            "rule": scenario,
            "time": read_time(now, alert.at("stop_at"), alert.at("created_at")),
            "techniques": classify.parse_techniques(alert.texts("labels")),
            "host": host,
            "remote": remote,
            "observables": observables.all(),
        }
    )


def _dedup_key(alert: JsonCursor) -> str:
    if uuid := alert.exact("uuid"):
        return dedup_key(uuid)
    if number := alert.integer("id", low=1):
        started = canonical_moment(alert.exact("start_at") or "-")
        return dedup_key(alert.exact("machine_id") or "-", number, started)
    return fingerprint(alert.value)


def _severity(alert: JsonCursor, kind: AlertClass) -> Severity:
    if alert.flag("simulated"):
        return Severity.INFORMATIONAL
    return Severity.LOW if kind is AlertClass.SCAN else Severity.MEDIUM


def _remote(source: JsonCursor, observables: ObservableCollector) -> Endpoint | None:
    scope = (source.text("scope") or "ip").lower()
    if scope == "range":
        observables.add(
            ObservableType.NETWORK,
            source.text("value") or source.text("range"),
            ObservableRole.REMOTE,
        )
    address = source.text("ip") or (source.text("value") if scope == "ip" else None)
    remote = observables.add_endpoint(address, role=ObservableRole.REMOTE)
    return remote if remote and is_unicast_host(remote.address) else None


def _add_events(alert: JsonCursor, observables: ObservableCollector) -> None:
    """Add what the underlying log lines name. The plugin calls them `events`, a dump `Events`."""
    for decision in alert.items("decisions"):
        if (decision.text("scope") or "").lower() == "ip":
            observables.add(ObservableType.ADDRESS, decision.text("value"), ObservableRole.REMOTE)
    for event in (
        *alert.items("events", most=_MAX_EVENTS),
        *alert.items("Events", most=_MAX_EVENTS),
    ):
        meta = {
            key: value
            for item in event.items("meta")
            if (key := item.text("key")) and (value := item.text("value"))
        }
        observables.add(ObservableType.ADDRESS, meta.get("source_ip"), ObservableRole.REMOTE)
        observables.add_user(meta.get("target_user"), role=ObservableRole.RELATED)
        observables.add_server_name(
            meta.get("target_fqdn") or meta.get("target_host"), ObservableRole.LOCAL
        )
