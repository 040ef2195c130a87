"""What does a GuardDuty finding say, bare, in its EventBridge envelope, or inside an SNS notification?

De-duplicated by finding id: GuardDuty sends the same finding again when its count grows.
"""

from __future__ import annotations

from datetime import datetime

from orchestrator.domain.alert import (
    Alert,
    AlertClass,
    Endpoint,
    FileSeen,
    Host,
    Severity,
    UserAccount,
)
from orchestrator.domain.observable import ObservableType, Role
from orchestrator.intake.batch import each
from orchestrator.intake.body import JSON, BodyRefused, parse_json
from orchestrator.intake.normalize import classify
from orchestrator.intake.normalize.endpoints import inside, someone
from orchestrator.intake.normalize.json_cursor import MAX_NAME, MAX_TITLE, Reading, identity
from orchestrator.intake.normalize.observables import Sightings
from orchestrator.intake.normalize.severity import by_floor
from orchestrator.intake.normalize.techniques import techniques
from orchestrator.intake.normalize.times import moment

_SEVERITIES = ((9, Severity.CRITICAL), (7, Severity.HIGH), (4, Severity.MEDIUM), (0, Severity.LOW))
_ACTIONS = (
    "networkConnectionAction",
    "awsApiCallAction",
    "kubernetesApiCallAction",
    "rdsLoginAttemptAction",
)


def parse(payload: JSON, now: datetime) -> tuple[Alert, ...]:
    """The findings in a body. Raises NotAnAlert for a subscription notice or another service's event, Unparseable."""
    body = Reading(
        "guardduty",
        payload,
        hint="is this a GuardDuty finding, bare or through EventBridge or SNS?",
    )
    return each(_from_sns(body), lambda item: _parse_one(_from_eventbridge(item), now))


def _from_sns(body: Reading) -> Reading:
    kind, message = body.text("Type"), body.at("Message").value
    if kind in {"SubscriptionConfirmation", "UnsubscribeConfirmation"}:
        raise body.not_an_alert(f"an SNS {kind}; confirm the subscription in the AWS console")
    if kind != "Notification" or not isinstance(message, str):
        return body
    try:
        inner = parse_json(message.encode("utf-8", "replace"))
    except BodyRefused as refused:
        raise body.at("Message").wrong(f"the JSON of a finding ({refused.reason})") from refused
    return Reading(body.product, inner, "$.Message", body.hint)


def _from_eventbridge(item: Reading) -> Reading:
    kind = item.text("detail-type", limit=MAX_NAME)
    if kind is None:
        return item
    if kind != "GuardDuty Finding":
        raise item.not_an_alert(
            f"detail-type {kind!r} is no GuardDuty finding; give it a source of its own with a mapping"
        )
    return item.required_object("detail")


def _parse_one(finding: Reading, now: datetime) -> Alert:
    finding.required_text("id")
    kind = finding.required_text("type", limit=MAX_NAME)
    level = finding.required_number("severity")
    seen = Sightings()
    remote, local = _ends(finding, seen)
    return finding.alert(
        {
            "dedup_key": identity(finding.exact("id")),
            "title": finding.text("title", limit=MAX_TITLE) or kind,
            "severity": by_floor(level, _SEVERITIES),
            "alert_class": classify.by_pattern(classify.GUARDDUTY_TYPES, kind) or AlertClass.OTHER,
            "rule": kind,
            "time": moment(
                finding.at("service", "eventLastSeen").value,
                moment(finding.at("updatedAt").value, now),
            ),
            "techniques": _techniques(finding),
            "host": _host(finding, seen, local),
            "user": _user(finding, seen),
            "remote": remote,
            "local": local,
            "file": _file(finding, seen),
            "process": seen.process(
                finding.text("service", "runtimeDetails", "process", "executablePath"),
                None,
                finding.integer("service", "runtimeDetails", "process", "pid", high=2**32),
            ),
            "observables": seen.all(),
            "resolved": finding.flag("service", "archived"),
        }
    )


def _ends(finding: Reading, seen: Sightings) -> tuple[Endpoint | None, Endpoint | None]:
    """(remote, local); where many probed, the first one is the remote side and all are observables."""
    action = finding.at("service", "action")
    details = [action.at(name) for name in _ACTIONS] + action.items(
        "portProbeAction", "portProbeDetails"
    )
    remotes = [_endpoint(detail, "remote", seen) for detail in details]
    locals_ = [_endpoint(detail, "local", seen) for detail in details]
    domain = seen.see(ObservableType.DOMAIN, action.text("dnsRequestAction", "domain"), Role.REMOTE)
    remotes += [
        _actor(actor, seen)
        for actor in finding.items("service", "detection", "sequence", "endpoints")
    ]
    remote = next((end for end in remotes if end), None)
    if remote is None and domain:
        remote = Endpoint(domain=domain)
    return remote, next((end for end in locals_ if end), None)


def _endpoint(detail: Reading, side: str, seen: Sightings) -> Endpoint | None:
    role = Role.REMOTE if side == "remote" else Role.LOCAL
    text = detail.text(f"{side}IpDetails", "ipAddressV4") or detail.text(
        f"{side}IpDetails", "ipAddressV6"
    )
    end = seen.endpoint(text, detail.integer(f"{side}PortDetails", "port", low=1, high=65535), role)
    return end if end and someone(end.address) else None


def _actor(endpoint: Reading, seen: Sightings) -> Endpoint | None:
    """An end in an attack sequence, which does not say whose it is: the ones outside are the attacker's."""
    address = endpoint.text("ip")
    end = Sightings().endpoint(address)
    if end is None or inside(end.address) or not someone(end.address):
        return None
    return seen.endpoint(address, endpoint.integer("port", low=1, high=65535), Role.REMOTE)


def _host(finding: Reading, seen: Sightings, local: Endpoint | None) -> Host | None:
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
    return seen.host(machine.text("instanceId"), name, address)


def _user(finding: Reading, seen: Sightings) -> UserAccount | None:
    resource = finding.at("resource")
    kubernetes = resource.text("kubernetesDetails", "kubernetesUserDetails", "username")
    actors = finding.items("service", "detection", "sequence", "actors")
    names = (
        resource.text("accessKeyDetails", "userName"),
        kubernetes,
        *(actor.text("user", "name") for actor in actors),
    )
    return next((user for name in names if (user := seen.account(name))), None)


def _file(finding: Reading, seen: Sightings) -> FileSeen | None:
    found = [
        seen.file(file.text("fileName"), file.text("filePath"), {"sha256": file.text("hash")})
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
        seen.file(
            None, running.text("executablePath"), {"sha256": running.text("executableSha256")}
        )
    )
    return next((file for file in found if file), None)


def _techniques(finding: Reading) -> tuple[str, ...]:
    sequence = finding.at("service", "detection", "sequence")
    indicators = [
        item
        for item in sequence.items("sequenceIndicators")
        if item.text("key") == "ATTACK_TECHNIQUE"
    ]
    return techniques(text for indicator in indicators for text in indicator.texts("values"))
