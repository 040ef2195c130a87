"""What does a CrowdSec alert say? One alert, or the list that the http notification plugin posts with `{{.|toJson}}`.

De-duplicated by uuid, or machine, id and start, or the content. CrowdSec has no severity: a scan is low, the rest medium, and a
simulated scenario, which takes no decision, informational. Users that an attacker tried are observables, never the alert's user: otherwise
guessing at a name would be enough to have its owner locked out.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Severity
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
from orchestrator.intake.normalize.techniques import techniques
from orchestrator.intake.normalize.times import moment

_MAX_EVENTS = 50


def parse(payload: JSON, now: datetime) -> tuple[Alert, ...]:
    """The alerts in one CrowdSec alert or a list of them. Raises Unparseable."""
    reading = Reading("crowdsec", payload, hint="is the plugin's format {{.|toJson}}?")
    return each(reading, lambda alert: _parse_one(alert, now))


def _parse_one(alert: Reading, now: datetime) -> Alert:
    scenario = alert.required_text("scenario", limit=MAX_NAME)
    source = alert.required_object("source")
    kind = classify.by_pattern(classify.CROWDSEC_SCENARIOS, scenario) or AlertClass.OTHER
    seen = Sightings()
    remote = _remote(source, seen)
    host = seen.host(alert.text("machine_id"), None, None)
    _events(alert, seen)
    return alert.alert(
        {
            "dedup_key": _dedup_key(alert),
            "title": alert.text("message", limit=MAX_TITLE) or scenario,
            "severity": _severity(alert, kind),
            "alert_class": kind,
            "rule": scenario,
            "time": moment(alert.at("stop_at").value, moment(alert.at("created_at").value, now)),
            "techniques": techniques(alert.texts("labels")),
            "host": host,
            "remote": remote,
            "observables": seen.all(),
        }
    )


def _dedup_key(alert: Reading) -> str:
    if uuid := alert.exact("uuid"):
        return identity(uuid)
    if number := alert.integer("id", low=1):
        return identity(alert.exact("machine_id") or "-", number, alert.exact("start_at") or "-")
    return fingerprint(alert.value)


def _severity(alert: Reading, kind: AlertClass) -> Severity:
    if alert.flag("simulated"):
        return Severity.INFORMATIONAL
    return Severity.LOW if kind is AlertClass.SCAN else Severity.MEDIUM


def _remote(source: Reading, seen: Sightings) -> Endpoint | None:
    scope = (source.text("scope") or "ip").lower()
    if scope == "range":
        seen.see(ObservableType.NETWORK, source.text("value") or source.text("range"), Role.REMOTE)
    address = source.text("ip") or (source.text("value") if scope == "ip" else None)
    remote = seen.endpoint(address, role=Role.REMOTE)
    return remote if remote and someone(remote.address) else None


def _events(alert: Reading, seen: Sightings) -> None:
    """What the log lines behind it name; `events` in the plugin's form, `Events` in a dump."""
    for decision in alert.items("decisions"):
        if (decision.text("scope") or "").lower() == "ip":
            seen.see(ObservableType.ADDRESS, decision.text("value"), Role.REMOTE)
    for event in (
        *alert.items("events", most=_MAX_EVENTS),
        *alert.items("Events", most=_MAX_EVENTS),
    ):
        meta = {
            key: value
            for item in event.items("meta")
            if (key := item.text("key")) and (value := item.text("value"))
        }
        seen.see(ObservableType.ADDRESS, meta.get("source_ip"), Role.REMOTE)
        seen.account(meta.get("target_user"), role=Role.RELATED)
        seen.name(meta.get("target_fqdn") or meta.get("target_host"), Role.LOCAL)
