"""What does a Suricata EVE record say? One record, or a list of them as a log shipper batches them.

De-duplicated by sensor, flow, rule and transaction. The client of a flow is `flow.src_ip` (Suricata 7), otherwise the source of the
packet that alerted, turned round where `direction` is `to_client`, or (older ones do not say) where only the source's port is a
service's, below 1024. Of a DNS alert the remote side is the name that was asked for, never the resolver.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import Alert, AlertClass, Endpoint, Severity
from orchestrator.domain.observable import ObservableType, Role
from orchestrator.intake.batch import each
from orchestrator.intake.body import JSON
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import End, our_end, someone
from orchestrator.intake.normalize.json_cursor import MAX_TITLE, Reading, fingerprint, identity
from orchestrator.intake.normalize.observables import Sightings
from orchestrator.intake.normalize.techniques import techniques
from orchestrator.intake.normalize.times import moment

_EPHEMERAL = 1024
_DNS = 53
_HTTP = 80
_SEVERITIES = {1: Severity.HIGH, 2: Severity.MEDIUM, 3: Severity.LOW, 4: Severity.INFORMATIONAL}


def parse(payload: JSON, now: datetime) -> tuple[Alert, ...]:
    """The alerts in one EVE record or a list of them. Raises NotAnAlert for other event types, Unparseable."""
    return each(
        Reading("suricata", payload, hint="is this an EVE alert?"),
        lambda record: _parse_one(record, now),
    )


def _parse_one(record: Reading, now: datetime) -> Alert:
    kind = record.required_text("event_type", limit=64)
    if kind != "alert":
        raise record.not_an_alert(f"event_type {kind!r} is telemetry, not an alert")
    rule = record.required_object("alert")
    signature_id = rule.required_text("signature_id", limit=32)
    group = rule.text("gid", limit=32) or "1"
    title = rule.text("signature", limit=MAX_TITLE) or f"Suricata rule {group}:{signature_id}"
    kind_of_incident = classify.suricata(
        title, rule.text("category"), rule.texts("metadata", "mitre_tactic_id")
    )
    return record.alert(
        {
            "dedup_key": _dedup_key(record, f"{group}:{signature_id}"),
            "title": title,
            "severity": _SEVERITIES.get(rule.integer("severity") or 0, Severity.UNKNOWN),
            "alert_class": kind_of_incident,
            "rule": f"{group}:{signature_id}",
            "time": moment(record.at("timestamp").value, now),
            "techniques": techniques(rule.texts("metadata", "mitre_technique_id")),
            **traffic(record, kind_of_incident),
        }
    )


def _dedup_key(record: Reading, rule: str) -> str:
    flow = record.exact("flow_id")
    if flow is None:
        return fingerprint(record.value)
    sensor = record.exact("host") or record.exact("sensor_name") or "-"
    transaction = record.exact("tx_id")
    return identity(sensor, flow, rule, *([transaction] if transaction else []))


def traffic(record: Reading, kind: AlertClass) -> dict[str, object]:
    """Both ends and what they exchanged, as fields of an Alert. Wazuh carries EVE records, too."""
    seen = Sightings()
    client, server = _ends(record)
    ours = our_end(client, server, kind, _said(record, client))
    server_role = Role.LOCAL if ours is End.SERVER else Role.REMOTE
    local, remote = (client, server) if ours is End.CLIENT else (server, client)
    resolver = ours is End.CLIENT and _asks_a_resolver(record, server)
    host = seen.host(None, None, local.address if local and someone(local.address) else None)
    for end, role in ((remote, Role.RELATED if resolver else Role.REMOTE), (local, Role.LOCAL)):
        if end and someone(end.address):
            seen.see(ObservableType.ADDRESS, end.address, role)
    domain = _domain(record, seen, server_role)
    url = _url(record, seen, server_role)
    file = _file(record, seen)
    _mail(record, seen)
    for end in (client, server):  # multicast and broadcast are seen, but are nobody
        seen.see(ObservableType.ADDRESS, end.address if end else None, Role.RELATED)
    return {
        "host": host,
        "local": local,
        "remote": _remote(remote, domain if ours is End.CLIENT else None, resolver=resolver),
        "file": file,
        "url": url if ours is End.CLIENT else None,
        "observables": seen.all(),
    }


def _ends(record: Reading) -> tuple[Endpoint | None, Endpoint | None]:
    scratch = Sightings()
    source, target = (
        scratch.endpoint(
            record.text(f"{side}_ip"), record.integer(f"{side}_port", low=1, high=65535)
        )
        for side in ("src", "dest")
    )
    return (target, source) if _backwards(record, source, target) else (source, target)


def _backwards(record: Reading, source: Endpoint | None, target: Endpoint | None) -> bool:
    """Whether the packet that alerted went from server to client."""
    if source is None or target is None:
        return False
    client = Sightings().see(ObservableType.ADDRESS, record.text("flow", "src_ip"))
    if source.address != target.address and client in {source.address, target.address}:
        return client == target.address
    if direction := record.text("direction"):
        return direction == "to_client"
    return (source.port or _EPHEMERAL) < _EPHEMERAL <= (target.port or 0)


def _asks_a_resolver(record: Reading, server: Endpoint | None) -> bool:
    spoken = record.text("app_proto")
    return (
        isinstance(record.at("dns").value, dict)
        or spoken == "dns"
        or (spoken is None and server is not None and server.port == _DNS)
    )


def _said(record: Reading, client: Endpoint | None) -> End | None:
    """Which end the rule itself calls the target: the `target` keyword, or `attack_target` of Emerging Threats."""
    attacked = Sightings().see(ObservableType.ADDRESS, record.text("alert", "target", "ip"))
    if attacked:
        return End.CLIENT if client and client.address == attacked else End.SERVER
    words = {word.lower() for word in record.texts("alert", "metadata", "attack_target")}
    if "client_endpoint" in words:
        return End.CLIENT
    return End.SERVER if any("server" in word for word in words) else None


def _remote(end: Endpoint | None, domain: str | None, *, resolver: bool) -> Endpoint | None:
    if resolver:
        return Endpoint(domain=domain) if domain else None
    if end is None or not someone(end.address):
        return None
    return end.model_copy(update={"domain": domain})


def _domain(record: Reading, seen: Sightings, role: Role) -> str | None:
    # What a client asks the DNS for is the other side's, wherever the resolver is.
    asked = [
        seen.see(ObservableType.DOMAIN, name, Role.REMOTE)
        for list_name in ("query", "queries")
        for question in record.items("dns", list_name)
        if (name := question.text("rrname"))
    ]
    asked.append(seen.see(ObservableType.DOMAIN, record.text("dns", "rrname"), Role.REMOTE))
    named = [
        seen.name(record.text(*path), role)[1]
        for path in (("tls", "sni"), ("http", "hostname"), ("quic", "sni"))
    ]
    for answer in record.items("dns", "answers"):
        seen.name(answer.text("rdata"), Role.RELATED)
    return next((domain for domain in (*asked, *named) if domain), None)


def _url(record: Reading, seen: Sightings, role: Role) -> str | None:
    path, name = record.text("http", "url"), record.text("http", "hostname")
    if path is None:
        return None
    if path.lower().startswith(("http://", "https://")):  # as a proxy is asked
        return seen.see(ObservableType.URL, path, role)
    port = record.integer("http", "http_port", low=1, high=65535)
    place = f"{name}:{port}" if name and port and port != _HTTP and ":" not in name else name
    return (
        seen.see(ObservableType.URL, f"http://{place}{path}", role)
        if place and path.startswith("/")
        else None
    )


def _file(record: Reading, seen: Sightings) -> object:
    found = [
        seen.file(
            file.text("filename"),
            None,
            {kind: file.text(kind) for kind in ("sha256", "sha1", "md5")},
        )
        for file in (*record.items("fileinfo"), *record.items("files"))
    ]
    return next((file for file in found if file), None)


def _mail(record: Reading, seen: Sightings) -> None:
    for path in (("smtp", "mail_from"), ("smtp", "rcpt_to"), ("email", "from"), ("email", "to")):
        for text in record.texts(*path):
            seen.see(ObservableType.EMAIL, text.rpartition("<")[2].rstrip("> "), Role.RELATED)
