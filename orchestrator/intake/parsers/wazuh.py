"""What does a Wazuh 4 alert say, as integratord hands it on? One alert, or a list of them.

De-duplicated by manager and alert id, the id alone not being unique in a cluster.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, FileSeen, Severity
from orchestrator.domain.observable import ObservableType, Role
from orchestrator.intake.batch import each
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import End, our_end, someone
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, Reading, identity
from orchestrator.intake.normalize.observables import Sightings
from orchestrator.intake.normalize.severity import by_floor
from orchestrator.intake.normalize.techniques import techniques
from orchestrator.intake.normalize.times import moment
from orchestrator.intake.parsers import suricata

_LEVELS = (
    (15, Severity.CRITICAL),
    (12, Severity.HIGH),
    (7, Severity.MEDIUM),
    (4, Severity.LOW),
    (0, Severity.INFORMATIONAL),
)
_SOURCES = (
    ("data", "srcip"),
    ("data", "src_ip"),
    ("data", "win", "eventdata", "ipAddress"),
    ("data", "win", "eventdata", "sourceIp"),
)
_TARGETS = (("data", "dstip"), ("data", "dst_ip"), ("data", "win", "eventdata", "destinationIp"))
_USERS = (
    (("data", "dstuser"), None),
    (
        ("data", "win", "eventdata", "targetUserName"),
        ("data", "win", "eventdata", "targetDomainName"),
    ),
    (("data", "win", "eventdata", "user"), None),
    (("data", "srcuser"), None),
    (
        ("data", "win", "eventdata", "subjectUserName"),
        ("data", "win", "eventdata", "subjectDomainName"),
    ),
    (("syscheck", "uname_after"), None),
)


def parse(payload: JSON, now: datetime) -> tuple[Alert, ...]:
    """The alerts in one Wazuh alert or a list of them. Raises Unparseable."""
    return each(
        Reading("wazuh", payload, hint="is this an alert of Wazuh 4 as in alerts.json?"),
        lambda alert: _parse_one(alert, now),
    )


def _parse_one(alert: Reading, now: datetime) -> Alert:
    rule = alert.required_object("rule")
    rule_id = rule.required_text("id", limit=MAX_NAME)
    level = rule.required_number("level")
    alert.required_text("id")
    named = techniques(
        [
            *rule.texts("mitre", "id"),
            *alert.texts("data", "alert", "metadata", "mitre_technique_id"),
        ]
    )
    kind = _classify(alert, rule_id, named)
    carries_eve = alert.text("data", "event_type") == "alert"
    return alert.alert(
        {
            "dedup_key": identity(alert.exact("manager", "name") or "-", alert.exact("id")),
            "title": rule.text("description", limit=MAX_TITLE) or f"Wazuh rule {rule_id}",
            "severity": by_floor(level, _LEVELS),
            "alert_class": kind,
            "rule": rule_id,
            "time": moment(alert.at("timestamp").value, now),
            "techniques": named,
            **(
                suricata.traffic(alert.at("data"), kind)
                if carries_eve
                else _what_it_names(alert, kind)
            ),
        }
    )


def _classify(alert: Reading, rule_id: str, named: tuple[str, ...]) -> AlertClass:
    groups = [group for text in alert.texts("rule", "groups") for group in text.split(",")]
    if "suricata" in groups and alert.text("data", "alert", "signature_id"):
        eve = alert.at("data", "alert")
        return classify.suricata(
            eve.text("signature"), eve.text("category"), eve.texts("metadata", "mitre_tactic_id")
        )
    return (
        classify.WAZUH_RULES.get(rule_id)
        or classify.by_word(classify.WAZUH_GROUPS, groups)
        or classify.by_technique(named)
        or AlertClass.OTHER
    )


def _what_it_names(alert: Reading, kind: AlertClass) -> dict[str, object]:
    seen = Sightings()
    agent_address = Sightings().see(ObservableType.ADDRESS, alert.text("agent", "ip"))
    agent_address = (
        agent_address if someone(agent_address) else None
    )  # the manager's own agent, 000, says 127.0.0.1
    host = seen.host(alert.text("agent", "id"), alert.text("agent", "name"), agent_address)
    local, remote = _sides(alert, agent_address, kind)
    for end, role in ((remote, Role.REMOTE), (local, Role.LOCAL)):
        seen.see(ObservableType.ADDRESS, end.address if end else None, role)
    users = [
        seen.account(alert.text(*name), alert.text(*domain) if domain else None)
        for name, domain in _USERS
    ]
    event = alert.at("data", "win", "eventdata")
    process = seen.process(
        event.text("image") or alert.text("data", "audit", "exe"),
        event.text("commandLine"),
        event.integer("processId", high=2**32),
    )
    file = _file(alert, seen)
    for name in (
        ("data", "hostname"),
        ("data", "win", "eventdata", "destinationHostname"),
        ("data", "win", "eventdata", "queryName"),
    ):
        seen.name(alert.text(*name))
    return {
        "host": host,
        "user": next((user for user in users if user), None),
        "local": local,
        "remote": remote,
        "file": file,
        "process": process,
        "url": seen.see(ObservableType.URL, alert.text("data", "url"), Role.RELATED),
        "observables": seen.all(),
    }


def _sides(
    alert: Reading, agent_address: str | None, kind: AlertClass
) -> tuple[Endpoint | None, Endpoint | None]:
    """(local, remote). With one address only, it is the other side, unless it is the agent's own."""
    source, target = (
        _endpoint(alert, _SOURCES, "srcport", "src_port"),
        _endpoint(alert, _TARGETS, "dstport", "dest_port"),
    )
    own = Endpoint(address=agent_address) if agent_address else None
    if source and target:
        said = (
            {source.address: End.CLIENT, target.address: End.SERVER}.get(agent_address)
            if source.address != target.address
            else None
        )
        return (
            (source, target)
            if our_end(source, target, kind, said) is End.CLIENT
            else (target, source)
        )
    lone = source or target
    return (lone, None) if lone and lone.address == agent_address else (own, lone)


def _endpoint(alert: Reading, paths: tuple[tuple[str, ...], ...], *ports: str) -> Endpoint | None:
    port = next(
        (number for name in ports if (number := alert.integer("data", name, low=1, high=65535))),
        None,
    )
    ends = (Sightings().endpoint(alert.text(*path), port) for path in paths)
    return next((end for end in ends if end and someone(end.address)), None)


def _file(alert: Reading, seen: Sightings) -> FileSeen | None:
    check, total = alert.at("syscheck"), alert.at("data", "virustotal")
    sysmon = dict(
        part.lower().split("=", 1)
        for part in (alert.text("data", "win", "eventdata", "hashes") or "").split(",")
        if "=" in part
    )
    found = (
        seen.file(
            None,
            check.text("path"),
            {kind: check.text(f"{kind}_after") for kind in ("sha256", "sha1", "md5")},
        ),
        seen.file(
            None,
            total.text("source", "file"),
            {kind: total.text("source", kind) for kind in ("sha256", "sha1", "md5")},
        ),
        seen.file(
            None,
            alert.text("data", "win", "eventdata", "image"),
            {kind: sysmon.get(kind) for kind in ("sha256", "sha1", "md5")},
        )
        if sysmon
        else None,
        seen.file(None, alert.text("data", "file"), {}),
    )
    return next((file for file in found if file), None)
