"""Parser for Falco, sent by http_output or falcosidekick: one alert or a list of them.

Alerts are deduplicated by uuid, else by rule, time, host and output. The title is the rule's name,
because `output` quotes what an attacker typed.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Severity
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.batch import AlertBatch, parse_batch
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import End, is_unicast_host, local_end
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key, fingerprint
from orchestrator.intake.normalize.observables import ObservableCollector
from orchestrator.intake.normalize.times import read_time

_PRIORITIES = {
    **dict.fromkeys(("emergency", "alert", "critical"), Severity.CRITICAL),
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "notice": Severity.LOW,
    **dict.fromkeys(("informational", "info", "debug"), Severity.INFORMATIONAL),
}


def parse(payload: JSON, now: datetime) -> AlertBatch:
    """Return the alerts in one Falco event or a list of them. Raise Unparseable."""
    return parse_batch(
        JsonCursor("falco", payload, hint="is json_output on?"),
        lambda event: _parse_one(event, now),
    )


def _parse_one(event: JsonCursor, now: datetime) -> Alert:
    rule = event.required_text("rule", limit=MAX_NAME)
    priority = event.required_text("priority", limit=32)
    kind = (
        classify.by_pattern(classify.FALCO_RULES, rule)
        or classify.by_word(classify.FALCO_TAGS, event.texts("tags"))
        or classify.by_technique(classify.parse_techniques(event.texts("tags")))
        or AlertClass.OTHER
    )
    return event.alert(
        {
            "dedup_key": _dedup_key(event),
            "title": rule[:MAX_TITLE],
            "severity": _PRIORITIES.get(priority.lower(), Severity.UNKNOWN),
            "alert_class": kind,
            "rule": rule,
            "time": read_time(now, event.at("time"), event.at("output_fields", "evt.time")),
            "techniques": classify.parse_techniques(event.texts("tags")),
            **_entities(event, event.at("output_fields"), kind),
        }
    )


def _dedup_key(event: JsonCursor) -> str:
    uuid = event.exact("uuid")
    return (
        dedup_key(uuid)
        if uuid
        else fingerprint([event.at(name).value for name in ("rule", "time", "hostname", "output")])
    )


def _entities(event: JsonCursor, fields: JsonCursor, kind: AlertClass) -> dict[str, object]:
    observables = ObservableCollector(event.omissions)
    host = observables.add_host(None, fields.text("k8s.node.name") or event.text("hostname"), None)
    local, remote = _endpoints(fields, kind)
    for end, role in ((remote, ObservableRole.REMOTE), (local, ObservableRole.LOCAL)):
        observables.add(ObservableType.ADDRESS, end.address if end else None, role)
    path = fields.text("fd.name") if (fields.text("fd.name") or "").startswith("/") else None
    return {
        "host": host,
        "user": observables.add_user(fields.text("user.name")),
        "local": local,
        "remote": remote,
        "file": observables.add_file(None, path, {"sha256": fields.text("proc.hash.sha256")}),
        "process": observables.add_process(
            fields.text("proc.exepath") or fields.text("proc.name"),
            fields.text("proc.cmdline"),
            fields.integer("proc.pid", high=2**32),
        ),
        "observables": observables.all(),
    }


def _endpoints(fields: JsonCursor, kind: AlertClass) -> tuple[Endpoint | None, Endpoint | None]:
    """Return (local, remote): `fd.lip` and `fd.rip`, else client and server by `local_end`."""
    local, remote, client, server = (_endpoint(fields, side) for side in ("l", "r", "c", "s"))
    if local or remote:
        return local, remote
    return (client, server) if local_end(client, server, kind) is End.CLIENT else (server, client)


def _endpoint(fields: JsonCursor, side: str) -> Endpoint | None:
    end = ObservableCollector(fields.omissions).add_endpoint(
        fields.text(f"fd.{side}ip"), fields.integer(f"fd.{side}port", low=1, high=65535)
    )
    return end if end and is_unicast_host(end.address) else None
