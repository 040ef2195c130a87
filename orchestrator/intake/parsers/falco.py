"""What does a Falco alert say (Falco's http_output, falcosidekick)? One alert, or a list of them.

De-duplicated by uuid, or else by rule, time, host and output. The title is the rule's name: `output` quotes what an attacker typed.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Severity
from orchestrator.domain.observable import ObservableType, Role
from orchestrator.intake.batch import each
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import End, our_end, someone
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

_PRIORITIES = {
    **dict.fromkeys(("emergency", "alert", "critical"), Severity.CRITICAL),
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "notice": Severity.LOW,
    **dict.fromkeys(("informational", "info", "debug"), Severity.INFORMATIONAL),
}


def parse(payload: JSON, now: datetime) -> tuple[Alert, ...]:
    """The alerts in one Falco event or a list of them. Raises Unparseable."""
    return each(
        Reading("falco", payload, hint="is json_output on?"), lambda event: _parse_one(event, now)
    )


def _parse_one(event: Reading, now: datetime) -> Alert:
    rule = event.required_text("rule", limit=MAX_NAME)
    priority = event.required_text("priority", limit=32)
    kind = (
        classify.by_pattern(classify.FALCO_RULES, rule)
        or classify.by_word(classify.FALCO_TAGS, event.texts("tags"))
        or classify.by_technique(techniques(event.texts("tags")))
        or AlertClass.OTHER
    )
    return event.alert(
        {
            "dedup_key": _dedup_key(event),
            "title": rule[:MAX_TITLE],
            "severity": _PRIORITIES.get(priority.lower(), Severity.UNKNOWN),
            "alert_class": kind,
            "rule": rule,
            "time": moment(
                event.at("time").value, moment(event.at("output_fields", "evt.time").value, now)
            ),
            "techniques": techniques(event.texts("tags")),
            **_what_it_names(event, event.at("output_fields"), kind),
        }
    )


def _dedup_key(event: Reading) -> str:
    uuid = event.exact("uuid")
    return (
        identity(uuid)
        if uuid
        else fingerprint([event.at(name).value for name in ("rule", "time", "hostname", "output")])
    )


def _what_it_names(event: Reading, fields: Reading, kind: AlertClass) -> dict[str, object]:
    seen = Sightings()
    host = seen.host(None, fields.text("k8s.node.name") or event.text("hostname"), None)
    local, remote = _sides(fields, kind)
    for end, role in ((remote, Role.REMOTE), (local, Role.LOCAL)):
        seen.see(ObservableType.ADDRESS, end.address if end else None, role)
    path = fields.text("fd.name") if (fields.text("fd.name") or "").startswith("/") else None
    return {
        "host": host,
        "user": seen.account(fields.text("user.name")),
        "local": local,
        "remote": remote,
        "file": seen.file(None, path, {"sha256": fields.text("proc.hash.sha256")}),
        "process": seen.process(
            fields.text("proc.exepath") or fields.text("proc.name"),
            fields.text("proc.cmdline"),
            fields.integer("proc.pid", high=2**32),
        ),
        "observables": seen.all(),
    }


def _sides(fields: Reading, kind: AlertClass) -> tuple[Endpoint | None, Endpoint | None]:
    """(local, remote): `fd.lip` and `fd.rip` say so themselves; client and server have to be told apart."""
    local, remote, client, server = (_endpoint(fields, side) for side in ("l", "r", "c", "s"))
    if local or remote:
        return local, remote
    return (client, server) if our_end(client, server, kind) is End.CLIENT else (server, client)


def _endpoint(fields: Reading, side: str) -> Endpoint | None:
    end = Sightings().endpoint(
        fields.text(f"fd.{side}ip"), fields.integer(f"fd.{side}port", low=1, high=65535)
    )
    return end if end and someone(end.address) else None
