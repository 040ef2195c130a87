"""Parser for GuardDuty findings: plain, in an EventBridge envelope, or inside an SNS notification.

Findings are deduplicated by id: GuardDuty sends a finding again when its count grows.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import (
    Alert,
    AlertClass,
    Endpoint,
    FileInfo,
    Host,
    Severity,
    UserAccount,
)
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.batch import AlertBatch, parse_batch
from orchestrator.intake.body import JSON, BodyRefused, parse_json
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import is_private, is_unicast_host
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key
from orchestrator.intake.normalize.observables import ObservableCollector
from orchestrator.intake.normalize.severity import severity_of_number
from orchestrator.intake.normalize.times import read_time

_SEVERITIES = ((9, Severity.CRITICAL), (7, Severity.HIGH), (4, Severity.MEDIUM), (0, Severity.LOW))
_ACTIONS = (
    "networkConnectionAction",
    "awsApiCallAction",
    "kubernetesApiCallAction",
    "rdsLoginAttemptAction",
)


def parse(payload: JSON, now: datetime) -> AlertBatch:
    """Return the findings in a body.

    Raise NotAnAlert for a subscription message or another service's event, Unparseable.
    """
    body = JsonCursor(
        "guardduty",
        payload,
        hint="is this a GuardDuty finding, bare or through EventBridge or SNS?",
    )
    return parse_batch(_from_sns(body), lambda item: _parse_one(_from_eventbridge(item), now))


def _from_sns(body: JsonCursor) -> JsonCursor:
    kind, message = body.text("Type"), body.at("Message").value
    if kind in {"SubscriptionConfirmation", "UnsubscribeConfirmation"}:
        raise body.not_an_alert(f"an SNS {kind}; confirm the subscription in the AWS console")
    if kind != "Notification" or not isinstance(message, str):
        return body
    try:
        inner = parse_json(message.encode("utf-8", "replace"))
    except BodyRefused as refused:
        raise body.at("Message").wrong(f"the JSON of a finding ({refused.reason})") from refused
    return JsonCursor(body.product, inner, "$.Message", body.hint)


def _from_eventbridge(item: JsonCursor) -> JsonCursor:
    kind = item.text("detail-type", limit=MAX_NAME)
    if kind is None:
        return item
    if kind != "GuardDuty Finding":
        raise item.not_an_alert(
            f"detail-type {kind!r} is not a GuardDuty finding; "
            "add a separate source with a mapping for it"
        )
    return item.required_object("detail")


def _parse_one(finding: JsonCursor, now: datetime) -> Alert:
    finding.required_text("id")
    kind = finding.required_text("type", limit=MAX_NAME)
    level = finding.required_number("severity")
    observables = ObservableCollector(finding.omissions)
    remote, local = _ends(finding, observables)
    return finding.alert(
        {
            "dedup_key": dedup_key(finding.exact("id")),
            "title": finding.text("title", limit=MAX_TITLE) or kind,
            "severity": severity_of_number(level, _SEVERITIES),
            "alert_class": classify.by_pattern(classify.GUARDDUTY_TYPES, kind) or AlertClass.OTHER,
            "rule": kind,
            "time": read_time(now, finding.at("service", "eventLastSeen"), finding.at("updatedAt")),
            "techniques": _techniques(finding),
            "host": _host(finding, observables, local),
            "user": _user(finding, observables),
            "remote": remote,
            "local": local,
            "file": _file(finding, observables),
            "process": observables.add_process(
                finding.text("service", "runtimeDetails", "process", "executablePath"),
                None,
                finding.integer("service", "runtimeDetails", "process", "pid", high=2**32),
            ),
            "observables": observables.all(),
            "resolved": finding.flag("service", "archived"),
        }
    )


def _ends(
    finding: JsonCursor, observables: ObservableCollector
) -> tuple[Endpoint | None, Endpoint | None]:
    """Return (remote, local). Of several remote ends the first counts, and all are observables."""
    action = finding.at("service", "action")
    details = [action.at(name) for name in _ACTIONS] + action.items(
        "portProbeAction", "portProbeDetails"
    )
    remotes = [_endpoint(detail, "remote", observables) for detail in details]
    locals_ = [_endpoint(detail, "local", observables) for detail in details]
    domain = observables.add(
        ObservableType.DOMAIN, action.text("dnsRequestAction", "domain"), ObservableRole.REMOTE
    )
    remotes += [
        _actor(actor, observables)
        for actor in finding.items("service", "detection", "sequence", "endpoints")
    ]
    remote = next((end for end in remotes if end), None)
    if remote is None and domain:
        remote = Endpoint(domain=domain)
    return remote, next((end for end in locals_ if end), None)


def _endpoint(detail: JsonCursor, side: str, observables: ObservableCollector) -> Endpoint | None:
    role = ObservableRole.REMOTE if side == "remote" else ObservableRole.LOCAL
    text = detail.text(f"{side}IpDetails", "ipAddressV4") or detail.text(
        f"{side}IpDetails", "ipAddressV6"
    )
    end = observables.add_endpoint(
        text, detail.integer(f"{side}PortDetails", "port", low=1, high=65535), role
    )
    return end if end and is_unicast_host(end.address) else None


def _actor(endpoint: JsonCursor, observables: ObservableCollector) -> Endpoint | None:
    """Return an end of an attack sequence where its address is public, thus not a local one."""
    address = endpoint.text("ip")
    end = ObservableCollector(endpoint.omissions).add_endpoint(address)
    if end is None or is_private(end.address) or not is_unicast_host(end.address):
        return None
    return observables.add_endpoint(
        address, endpoint.integer("port", low=1, high=65535), ObservableRole.REMOTE
    )


def _host(
    finding: JsonCursor, observables: ObservableCollector, local: Endpoint | None
) -> Host | None:
    resource = finding.at("resource")
    machine = resource.at("instanceDetails")
    tags = {key: tag.text("value") for tag in machine.items("tags") if (key := tag.text("key"))}
    address = machine.text("networkInterfaces", 0, "privateIpAddress") or (
        local.address if local else None
    )
    name = (
        tags.get("Name")
        or resource.text("eksClusterDetails", "name")
        or resource.text("rdsDbInstanceDetails", "dbInstanceIdentifier")
    )
    return observables.add_host(machine.text("instanceId"), name, address)


def _user(finding: JsonCursor, observables: ObservableCollector) -> UserAccount | None:
    resource = finding.at("resource")
    kubernetes = resource.text("kubernetesDetails", "kubernetesUserDetails", "username")
    actors = finding.items("service", "detection", "sequence", "actors")
    names = (
        resource.text("accessKeyDetails", "userName"),
        kubernetes,
        *(actor.text("user", "name") for actor in actors),
    )
    return next((user for name in names if (user := observables.add_user(name))), None)


def _file(finding: JsonCursor, observables: ObservableCollector) -> FileInfo | None:
    found = [
        observables.add_file(
            file.text("fileName"), file.text("filePath"), {"sha256": file.text("hash")}
        )
        for threat in finding.items(
            "service",
            "ebsVolumeScanDetails",
            "scanDetections",
            "threatDetectedByName",
            "threatNames",
        )
        for file in threat.items("filePaths")
    ]
    running = finding.at("service", "runtimeDetails", "process")
    found.append(
        observables.add_file(
            None, running.text("executablePath"), {"sha256": running.text("executableSha256")}
        )
    )
    return next((file for file in found if file), None)


def _techniques(finding: JsonCursor) -> tuple[str, ...]:
    sequence = finding.at("service", "detection", "sequence")
    indicators = [
        item
        for item in sequence.items("sequenceIndicators")
        if item.text("key") == "ATTACK_TECHNIQUE"
    ]
    return classify.parse_techniques(
        text for indicator in indicators for text in indicator.texts("values")
    )
