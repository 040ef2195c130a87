"""Parser for Suricata EVE records: one record, or a list of them as a log shipper batches them.

Alerts are deduplicated by sensor, flow, rule and transaction. The client of a flow is `flow.src_ip`
(Suricata 7), otherwise the source of the packet that raised the alert. Source and target are
exchanged where `direction` is `to_client`, or, in older versions without it, where only the
source's port is below 1024. The remote end of a DNS alert is the queried name, never the resolver.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Severity
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.batch import AlertBatch, parse_batch
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import End, is_unicast_host, local_end
from orchestrator.intake.normalize.json_cursor import MAX_TITLE, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key, fingerprint
from orchestrator.intake.normalize.observables import ObservableCollector
from orchestrator.intake.normalize.times import read_time

_EPHEMERAL = 1024
_DNS = 53
_HTTP = 80
_SEVERITIES = {1: Severity.HIGH, 2: Severity.MEDIUM, 3: Severity.LOW, 4: Severity.INFORMATIONAL}


def parse(payload: JSON, now: datetime) -> AlertBatch:
    """Return the alerts in one EVE record or a list of them.

    Raise NotAnAlert for other event types, Unparseable.
    """
    return parse_batch(
        JsonCursor("suricata", payload, hint="is this an EVE alert?"),
        lambda record: _parse_one(record, now),
    )


def _parse_one(record: JsonCursor, now: datetime) -> Alert:
    kind = record.required_text("event_type", limit=64)
    if kind != "alert":
        raise record.not_an_alert(f"event_type {kind!r} is telemetry, not an alert")
    rule = record.required_object("alert")
    signature_id = rule.required_text("signature_id", limit=32)
    group = rule.text("gid", limit=32) or "1"
    title = rule.text("signature", limit=MAX_TITLE) or f"Suricata rule {group}:{signature_id}"
    kind_of_incident = classify.classify_suricata(
        title, rule.text("category"), rule.texts("metadata", "mitre_tactic_id")
    )
    return record.alert(
        {
            "dedup_key": _dedup_key(record, f"{group}:{signature_id}"),
            "title": title,
            "severity": _SEVERITIES.get(rule.integer("severity") or 0, Severity.UNKNOWN),
            "alert_class": kind_of_incident,
            "rule": f"{group}:{signature_id}",
            "time": read_time(now, record.at("timestamp")),
            "techniques": classify.parse_techniques(rule.texts("metadata", "mitre_technique_id")),
            **traffic(record, kind_of_incident),
        }
    )


def _dedup_key(record: JsonCursor, rule: str) -> str:
    flow = record.exact("flow_id")
    if flow is None:
        return fingerprint(record.value)
    sensor = record.exact("host") or record.exact("sensor_name") or "-"
    transaction = record.exact("tx_id")
    return dedup_key(sensor, flow, rule, *([transaction] if transaction else []))


def traffic(record: JsonCursor, kind: AlertClass) -> dict[str, object]:
    """Return both ends and what they exchanged, as fields of an Alert.

    Wazuh wraps EVE records, too.
    """
    observables = ObservableCollector(record.omissions)
    client, server = _ends(record)
    local_side = local_end(client, server, kind, _target_end(record, client))
    server_role = ObservableRole.LOCAL if local_side is End.SERVER else ObservableRole.REMOTE
    local, remote = (client, server) if local_side is End.CLIENT else (server, client)
    resolver = local_side is End.CLIENT and _is_dns_query(record, server)
    host = observables.add_host(
        None, None, local.address if local and is_unicast_host(local.address) else None
    )
    for end, role in (
        (remote, ObservableRole.RELATED if resolver else ObservableRole.REMOTE),
        (local, ObservableRole.LOCAL),
    ):
        if end and is_unicast_host(end.address):
            observables.add(ObservableType.ADDRESS, end.address, role)
    domain = _domain(record, observables, server_role)
    url = _url(record, observables, server_role)
    file = _file(record, observables)
    _add_mail(record, observables)
    for end in (client, server):  # multicast and broadcast are observables, but no endpoints
        observables.add(
            ObservableType.ADDRESS, end.address if end else None, ObservableRole.RELATED
        )
    return {
        "host": host,
        "local": local,
        "remote": _remote(remote, domain if local_side is End.CLIENT else None, resolver=resolver),
        "file": file,
        "url": url if local_side is End.CLIENT else None,
        "observables": observables.all(),
    }


def _ends(record: JsonCursor) -> tuple[Endpoint | None, Endpoint | None]:
    scratch = ObservableCollector(record.omissions)
    source, target = (
        scratch.add_endpoint(
            record.text(f"{side}_ip"), record.integer(f"{side}_port", low=1, high=65535)
        )
        for side in ("src", "dest")
    )
    return (target, source) if _is_reply(record, source, target) else (source, target)


def _is_reply(record: JsonCursor, source: Endpoint | None, target: Endpoint | None) -> bool:
    """Return whether the packet that raised the alert went from server to client."""
    if source is None or target is None:
        return False
    client = ObservableCollector(record.omissions).add(
        ObservableType.ADDRESS, record.text("flow", "src_ip")
    )
    if source.address != target.address and client in {source.address, target.address}:
        return client == target.address
    if direction := record.text("direction"):
        return direction == "to_client"
    return (source.port or _EPHEMERAL) < _EPHEMERAL <= (target.port or 0)


def _is_dns_query(record: JsonCursor, server: Endpoint | None) -> bool:
    protocol = record.text("app_proto")
    return (
        isinstance(record.at("dns").value, dict)
        or protocol == "dns"
        or (protocol is None and server is not None and server.port == _DNS)
    )


def _target_end(record: JsonCursor, client: Endpoint | None) -> End | None:
    """Return the end that the rule names by `target`, or Emerging Threats by `attack_target`."""
    attacked = ObservableCollector(record.omissions).add(
        ObservableType.ADDRESS, record.text("alert", "target", "ip")
    )
    if attacked:
        return End.CLIENT if client and client.address == attacked else End.SERVER
    words = {word.lower() for word in record.texts("alert", "metadata", "attack_target")}
    if "client_endpoint" in words:
        return End.CLIENT
    return End.SERVER if any("server" in word for word in words) else None


def _remote(end: Endpoint | None, domain: str | None, *, resolver: bool) -> Endpoint | None:
    if resolver:
        return Endpoint(domain=domain) if domain else None
    if end is None or not is_unicast_host(end.address):
        return None
    return end.model_copy(update={"domain": domain})


def _domain(
    record: JsonCursor, observables: ObservableCollector, role: ObservableRole
) -> str | None:
    # A queried name belongs to the remote end, wherever the resolver is.
    asked = [
        observables.add(ObservableType.DOMAIN, name, ObservableRole.REMOTE)
        for list_name in ("query", "queries")
        for question in record.items("dns", list_name)
        if (name := question.text("rrname"))
    ]
    asked.append(
        observables.add(ObservableType.DOMAIN, record.text("dns", "rrname"), ObservableRole.REMOTE)
    )
    named = [
        observables.add_server_name(record.text(*path), role)[1]
        for path in (("tls", "sni"), ("http", "hostname"), ("quic", "sni"))
    ]
    for answer in record.items("dns", "answers"):
        observables.add_server_name(answer.text("rdata"), ObservableRole.RELATED)
    return next((domain for domain in (*asked, *named) if domain), None)


def _url(record: JsonCursor, observables: ObservableCollector, role: ObservableRole) -> str | None:
    path, name = record.text("http", "url"), record.text("http", "hostname")
    if path is None:
        return None
    if path.lower().startswith(("http://", "https://")):  # a request to a proxy
        return observables.add(ObservableType.URL, path, role)
    port = record.integer("http", "http_port", low=1, high=65535)
    place = f"{name}:{port}" if name and port and port != _HTTP and ":" not in name else name
    return (
        observables.add(ObservableType.URL, f"http://{place}{path}", role)
        if place and path.startswith("/")
        else None
    )


def _file(record: JsonCursor, observables: ObservableCollector) -> object:
    found = [
        observables.add_file(
            file.text("filename"),
            None,
            {kind: file.text(kind) for kind in ("sha256", "sha1", "md5")},
        )
        for file in (*record.items("fileinfo"), *record.items("files"))
    ]
    return next((file for file in found if file), None)


def _add_mail(record: JsonCursor, observables: ObservableCollector) -> None:
    for path in (("smtp", "mail_from"), ("smtp", "rcpt_to"), ("email", "from"), ("email", "to")):
        for text in record.texts(*path):
            observables.add(
                ObservableType.EMAIL, text.rpartition("<")[2].rstrip("> "), ObservableRole.RELATED
            )
