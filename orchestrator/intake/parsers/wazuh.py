"""Parser for Wazuh 4 alerts as integratord sends them: one alert or a list of them.

Alerts are deduplicated by manager and alert id, because the id alone is not unique in a cluster.
User names that an attacker tried are observables, never the alert's user: otherwise guessing a name
would be enough to lock its owner out.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, FileInfo, Severity, UserAccount
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.batch import AlertBatch, parse_batch
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import End, is_unicast_host, local_end
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key
from orchestrator.intake.normalize.observables import ObservableCollector
from orchestrator.intake.normalize.severity import severity_of_number
from orchestrator.intake.normalize.times import read_time
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

_FAILED_LOGINS = frozenset(
    {
        "authentication_failed",
        "authentication_failures",
        "win_authentication_failed",
        "win_authentication_failures",
        "invalid_login",
    }
)
"""Rule groups of failed logins, whose alerts name users that were tried."""
_LOGIN_NAMES = frozenset(
    {
        ("data", "dstuser"),
        ("data", "srcuser"),
        ("data", "win", "eventdata", "targetUserName"),
        ("data", "win", "eventdata", "subjectUserName"),
    }
)


def parse(payload: JSON, now: datetime) -> AlertBatch:
    """Return the alerts in one Wazuh alert or a list of them. Raise Unparseable."""
    return parse_batch(
        JsonCursor("wazuh", payload, hint="is this an alert of Wazuh 4 as in alerts.json?"),
        lambda alert: _parse_one(alert, now),
    )


def _parse_one(alert: JsonCursor, now: datetime) -> Alert:
    rule = alert.required_object("rule")
    rule_id = rule.required_text("id", limit=MAX_NAME)
    level = rule.required_number("level")
    alert.required_text("id")
    named = classify.parse_techniques(
        [
            *rule.texts("mitre", "id"),
            *alert.texts("data", "alert", "metadata", "mitre_technique_id"),
        ]
    )
    kind = _classify(alert, rule_id, named)
    carries_eve = alert.text("data", "event_type") == "alert"
    return alert.alert(
        {
            "dedup_key": dedup_key(alert.exact("manager", "name") or "-", alert.exact("id")),
            "title": rule.text("description", limit=MAX_TITLE) or f"Wazuh rule {rule_id}",
            "severity": severity_of_number(level, _LEVELS),
            "alert_class": kind,
            "rule": rule_id,
            "time": read_time(now, alert.at("timestamp")),
            "techniques": named,
            **(suricata.traffic(alert.at("data"), kind) if carries_eve else _entities(alert, kind)),
        }
    )


def _classify(alert: JsonCursor, rule_id: str, named: tuple[str, ...]) -> AlertClass:
    groups = [group for text in alert.texts("rule", "groups") for group in text.split(",")]
    if "suricata" in groups and alert.text("data", "alert", "signature_id"):
        eve = alert.at("data", "alert")
        return classify.classify_suricata(
            eve.text("signature"), eve.text("category"), eve.texts("metadata", "mitre_tactic_id")
        )
    return (
        classify.WAZUH_RULES.get(rule_id)
        or classify.by_word(classify.WAZUH_GROUPS, groups)
        or classify.by_technique(named)
        or AlertClass.OTHER
    )


def _entities(alert: JsonCursor, kind: AlertClass) -> dict[str, object]:
    observables = ObservableCollector(alert.omissions)
    agent_address = ObservableCollector().add(ObservableType.ADDRESS, alert.text("agent", "ip"))
    agent_address = (
        agent_address if is_unicast_host(agent_address) else None
    )  # agent 000, the manager itself, reports 127.0.0.1
    host = observables.add_host(
        alert.text("agent", "id"), alert.text("agent", "name"), agent_address
    )
    local, remote = _endpoints(alert, agent_address, kind)
    for end, role in ((remote, ObservableRole.REMOTE), (local, ObservableRole.LOCAL)):
        observables.add(ObservableType.ADDRESS, end.address if end else None, role)
    user = _user(alert, kind, observables)
    event = alert.at("data", "win", "eventdata")
    process = observables.add_process(
        event.text("image") or alert.text("data", "audit", "exe"),
        event.text("commandLine"),
        event.integer("processId", high=2**32),
    )
    file = _file(alert, observables)
    for name in (
        ("data", "hostname"),
        ("data", "win", "eventdata", "destinationHostname"),
        ("data", "win", "eventdata", "queryName"),
    ):
        observables.add_server_name(alert.text(*name))
    return {
        "host": host,
        "user": user,
        "local": local,
        "remote": remote,
        "file": file,
        "process": process,
        "url": observables.add(
            ObservableType.URL, alert.text("data", "url"), ObservableRole.RELATED
        ),
        "observables": observables.all(),
    }


def _user(
    alert: JsonCursor, kind: AlertClass, observables: ObservableCollector
) -> UserAccount | None:
    """Return the first user who acted. A name that was tried at a login is `related` only."""
    failed = _reports_failed_login(alert, kind)
    found: list[UserAccount | None] = []
    for name, domain in _USERS:
        tried = failed and name in _LOGIN_NAMES
        role = ObservableRole.RELATED if tried else ObservableRole.SUBJECT
        user = observables.add_user(
            alert.text(*name), alert.text(*domain) if domain else None, role
        )
        found.append(None if tried else user)
    return next((user for user in found if user), None)


def _reports_failed_login(alert: JsonCursor, kind: AlertClass) -> bool:
    if kind in {AlertClass.BRUTE_FORCE, AlertClass.ACCOUNT_COMPROMISE}:
        return kind is AlertClass.BRUTE_FORCE
    groups = {group for text in alert.texts("rule", "groups") for group in text.split(",")}
    return not groups.isdisjoint(_FAILED_LOGINS)


def _endpoints(
    alert: JsonCursor, agent_address: str | None, kind: AlertClass
) -> tuple[Endpoint | None, Endpoint | None]:
    """Return (local, remote). A single address is the remote one, unless it is the agent's own."""
    source, target = (
        _endpoint(alert, _SOURCES, "srcport", "src_port"),
        _endpoint(alert, _TARGETS, "dstport", "dest_port"),
    )
    own = Endpoint(address=agent_address) if agent_address else None
    if source and target:
        named = (
            {source.address: End.CLIENT, target.address: End.SERVER}.get(agent_address)
            if source.address != target.address
            else None
        )
        return (
            (source, target)
            if local_end(source, target, kind, named) is End.CLIENT
            else (target, source)
        )
    single = source or target
    return (single, None) if single and single.address == agent_address else (own, single)


def _endpoint(
    alert: JsonCursor, paths: tuple[tuple[str, ...], ...], *ports: str
) -> Endpoint | None:
    port = next(
        (number for name in ports if (number := alert.integer("data", name, low=1, high=65535))),
        None,
    )
    scratch = ObservableCollector(alert.omissions)
    ends = (scratch.add_endpoint(alert.text(*path), port) for path in paths)
    return next((end for end in ends if end and is_unicast_host(end.address)), None)


def _file(alert: JsonCursor, observables: ObservableCollector) -> FileInfo | None:
    check, total = alert.at("syscheck"), alert.at("data", "virustotal")
    sysmon = dict(
        part.lower().split("=", 1)
        for part in (alert.text("data", "win", "eventdata", "hashes") or "").split(",")
        if "=" in part
    )
    found = (
        observables.add_file(
            None,
            check.text("path"),
            {kind: check.text(f"{kind}_after") for kind in ("sha256", "sha1", "md5")},
        ),
        observables.add_file(
            None,
            total.text("source", "file"),
            {kind: total.text("source", kind) for kind in ("sha256", "sha1", "md5")},
        ),
        observables.add_file(
            None,
            alert.text("data", "win", "eventdata", "image"),
            {kind: sysmon.get(kind) for kind in ("sha256", "sha1", "md5")},
        )
        if sysmon
        else None,
        observables.add_file(None, alert.text("data", "file"), {}),
    )
    return next((file for file in found if file), None)
