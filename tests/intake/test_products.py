"""Each product's native alert becomes the alert that it means."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from orchestrator.domain.alert import Alert, Severity
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.parsers import PARSERS
from tests.harness.intake_samples import (
    ALERTMANAGER,
    CROWDSEC,
    EVE,
    FALCO,
    GUARDDUTY,
    NATIVE,
    NOW,
    WAZUH,
)


def one(product: str, payload: Any) -> Alert:
    """Return the only alert in a payload."""
    (alert,) = PARSERS[product](payload, NOW)
    return alert


def changed(sample: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a changed copy of a sample: `__` in a key goes a level deeper, None removes."""
    copied = copy.deepcopy(sample)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = copied
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return copied


def roles(alert: Alert) -> dict[str, ObservableRole]:
    """Return the observables by value."""
    return {observable.value: observable.role for observable in alert.observables}


# Suricata


def test_eve_alert_becomes_a_c2_beacon_with_both_ends() -> None:
    alert = one("suricata", EVE)
    assert alert.dedup_key == "sensor-1/2090840609590725/1:2027865/0"
    assert (alert.alert_class, alert.severity, alert.rule) == (
        "c2_beacon",
        Severity.HIGH,
        "1:2027865",
    )
    assert alert.techniques == ("T1071",)
    assert alert.local is not None
    assert alert.remote is not None
    assert alert.host is not None
    assert (alert.local.address, alert.host.address) == ("10.4.2.17", "10.4.2.17")
    assert (alert.remote.address, alert.remote.port, alert.remote.domain) == (
        "198.51.100.23",
        80,
        "update.evil.example",
    )
    assert alert.url == "http://update.evil.example/gate.php?id=1"
    assert roles(alert)["update.evil.example"] is ObservableRole.REMOTE


def test_response_packet_has_the_same_ends() -> None:
    back = changed(
        EVE,
        direction="to_client",
        src_ip="198.51.100.23",
        src_port=80,
        dest_ip="10.4.2.17",
        dest_port=51514,
    )
    straight, turned = one("suricata", EVE), one("suricata", back)
    assert (turned.local, turned.remote, turned.dedup_key) == (
        straight.local,
        straight.remote,
        straight.dedup_key,
    )
    without_word = changed(back, direction=None, flow={})
    assert one("suricata", without_word).remote == straight.remote


def test_attack_on_a_local_server_does_not_make_its_name_remote() -> None:
    inbound = changed(
        EVE, src_ip="203.0.113.5", dest_ip="10.4.2.80", flow={}, http__hostname="www.corp.example"
    )
    inbound["alert"] |= {
        "signature": "ET WEB_SERVER Possible CVE-2014-6271 Attempt",
        "category": "Web Application Attack",
        "metadata": {},
    }
    alert = one("suricata", inbound)
    assert alert.remote is not None
    assert (alert.remote.address, alert.remote.domain, alert.url) == ("203.0.113.5", None, None)
    assert roles(alert)["www.corp.example"] is ObservableRole.LOCAL


@pytest.mark.parametrize(
    "dns",
    [
        {"type": "query", "rrname": "beacon.evil.example"},
        {"query": [{"type": "query", "rrname": "beacon.evil.example", "rrtype": "A"}]},
        {"version": 3, "queries": [{"rrname": "beacon.evil.example"}]},
    ],
)
def test_remote_end_of_a_dns_alert_is_the_name_and_never_the_resolver(
    dns: dict[str, Any],
) -> None:
    query = changed(
        EVE, dest_ip="10.0.0.53", dest_port=53, http=None, app_proto="dns", dns=dns, flow={}
    )
    alert = one("suricata", query)
    assert alert.remote is not None
    assert (alert.remote.address, alert.remote.domain) == (None, "beacon.evil.example")
    assert roles(alert)["10.0.0.53"] is ObservableRole.RELATED


def test_target_of_the_rule_decides_between_two_local_hosts() -> None:
    lateral = changed(EVE, dest_ip="10.4.2.99", flow={})
    lateral["alert"]["metadata"] = {"attack_target": ["Server"]}
    assert one("suricata", lateral).local.address == "10.4.2.99"  # type: ignore[union-attr]
    lateral["alert"]["target"] = {"ip": "10.4.2.17"}
    assert one("suricata", lateral).local.address == "10.4.2.17"  # type: ignore[union-attr]


def test_list_of_records_keeps_alerts_and_drops_telemetry() -> None:
    flow: Any = {"event_type": "flow", "flow_id": 1}
    other = changed(EVE, flow_id=7)
    alerts = PARSERS["suricata"]([flow, EVE, other, EVE, flow], NOW)
    assert [alert.dedup_key.split("/")[1] for alert in alerts] == ["2090840609590725", "7"]
    with pytest.raises(NotAnAlert, match="event_type 'flow' is telemetry"):
        PARSERS["suricata"]([flow, flow], NOW)
    with pytest.raises(NotAnAlert, match="empty list"):
        PARSERS["suricata"]([], NOW)


def test_broken_record_does_not_cost_the_others() -> None:
    broken: Any = changed(EVE, alert__signature_id=None)
    assert len(PARSERS["suricata"]([broken, EVE], NOW)) == 1
    with pytest.raises(
        Unparseable, match=r"\$\[1\]\.alert\.signature_id is missing; is this an EVE alert\?"
    ):
        PARSERS["suricata"]([{"event_type": "flow"}, broken], NOW)


def test_attacker_text_chooses_neither_class_nor_remote_end() -> None:
    hostile = changed(
        EVE,
        alert__signature="SURICATA HTTP Host header invalid",
        alert__category="Generic Protocol Command Decode",
    )
    hostile["alert"]["metadata"] = {}
    hostile["http"] |= {
        "http_user_agent": "ET MALWARE CnC Beacon",
        "hostname": "ET MALWARE CnC",
        "url": "//brute force phishing",
    }
    alert = one("suricata", hostile)
    assert (alert.alert_class, alert.remote.domain) == ("other", None)  # type: ignore[union-attr]


def test_multicast_is_an_observable_but_no_endpoint() -> None:
    alert = one("suricata", changed(EVE, dest_ip="224.0.0.251", flow={}, http=None))
    assert (alert.remote, roles(alert)["224.0.0.251"]) == (None, ObservableRole.RELATED)


# Wazuh


def test_wazuh_alert_names_agent_attacker_and_user() -> None:
    alert = one("wazuh", WAZUH)
    assert alert.dedup_key == "wazuh-master/1795521541.1032414"
    assert (alert.alert_class, alert.severity, alert.rule, alert.techniques) == (
        "brute_force",
        Severity.MEDIUM,
        "5763",
        ("T1110",),
    )
    assert alert.host is not None
    assert (alert.host.id, alert.host.name, alert.host.address) == ("017", "web-01", "10.4.2.80")
    assert alert.remote is not None
    assert (alert.remote.address, alert.remote.port) == ("203.0.113.9", 40222)


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ({"groups": ["authentication_failures"]}, {"dstuser": "ceo"}),
        ({"groups": ["syslog", "sshd", "invalid_login"], "mitre": {}}, {"srcuser": "ceo"}),
        (
            {"groups": ["windows", "win_authentication_failed"], "mitre": {}},
            {"win": {"eventdata": {"targetUserName": "ceo", "subjectUserName": "WEB-01$"}}},
        ),
    ],
)
def test_name_that_was_tried_at_a_login_is_not_the_user_of_a_wazuh_alert(
    rule: dict[str, Any], data: dict[str, Any]
) -> None:
    alert = one("wazuh", changed(WAZUH, rule={**WAZUH["rule"], **rule}, data=data))
    assert alert.user is None
    assert roles(alert)["ceo"] is ObservableRole.RELATED


def test_user_who_logged_in_after_failures_is_the_user_of_a_wazuh_alert() -> None:
    alert = one("wazuh", changed(WAZUH, rule__id="40112"))
    assert alert.user is not None
    assert alert.user.name == "root"


@pytest.mark.parametrize(
    ("level", "severity"),
    [(0, 1), (3, 1), (4, 2), (6, 2), (7, 3), (11, 3), (12, 4), (14, 4), (15, 5), ("12", 4)],
)
def test_wazuh_levels_are_ocsf_severities(level: object, severity: int) -> None:
    assert one("wazuh", changed(WAZUH, rule__level=level)).severity == severity


def test_destination_with_port_is_split() -> None:
    alert = one("wazuh", changed(WAZUH, data={"srcip": "203.0.113.9", "dstip": "192.168.10.21:80"}))
    assert alert.local is not None
    assert (alert.local.address, alert.local.port) == ("192.168.10.21", 80)


def test_manager_agent_has_no_address_and_sysmon_hashes_are_read() -> None:
    sysmon = {
        "image": "C:\\Temp\\x.exe",
        "commandLine": "x.exe -e",
        "hashes": f"SHA1={'a' * 40},MD5={'b' * 32},SHA256={'C' * 64}",
        "user": "CORP\\doe",
    }
    alert = one(
        "wazuh",
        changed(
            WAZUH,
            agent={"id": "000", "name": "wazuh", "ip": "127.0.0.1"},
            data={"win": {"eventdata": sysmon}},
        ),
    )
    assert (alert.host.address, alert.local) == (None, None)  # type: ignore[union-attr]
    assert alert.file is not None
    assert (alert.file.name, alert.file.sha256, alert.user.domain) == ("x.exe", "c" * 64, "CORP")  # type: ignore[union-attr]


def test_suricata_inside_wazuh_is_parsed_as_suricata() -> None:
    rule = {
        "id": "86601",
        "level": 3,
        "groups": ["ids", "suricata"],
        "description": "Suricata: Alert - ET MALWARE",
    }
    alert = one("wazuh", changed(WAZUH, rule=rule, data=EVE))
    assert (alert.alert_class, alert.remote.domain, alert.techniques) == (
        "c2_beacon",
        "update.evil.example",
        ("T1071",),
    )  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (
            {
                "id": "5715",
                "groups": ["syslog", "sshd", "authentication_success"],
                "mitre": {"id": ["T1078", "T1021"]},
            },
            "other",
        ),
        (
            {"id": "40112", "groups": ["syslog", "attacks"], "mitre": {"id": ["T1078", "T1110"]}},
            "account_compromise",
        ),
        ({"id": "87105", "groups": ["virustotal"]}, "malware"),
        ({"id": "87104", "groups": ["virustotal"]}, "other"),
        ({"id": "1", "groups": ["local", "phishing"]}, "phishing"),
        ({"id": "2", "groups": "not a list"}, "other"),
    ],
)
def test_wazuh_class_is_from_rule_groups_and_technique(rule: dict[str, Any], kind: str) -> None:
    assert one("wazuh", changed(WAZUH, rule={"level": 5, **rule})).alert_class == kind


# CrowdSec


def test_crowdsec_alert_names_the_attacker_and_no_user() -> None:
    alert = one("crowdsec", [CROWDSEC])
    assert (alert.alert_class, alert.severity, alert.rule) == (
        "brute_force",
        Severity.MEDIUM,
        "crowdsecurity/ssh-bf",
    )
    assert alert.remote is not None
    assert (alert.remote.address, alert.user, alert.dedup_key) == (
        "203.0.113.9",
        None,
        CROWDSEC["uuid"],
    )
    assert roles(alert)["root"] is ObservableRole.RELATED


def test_crowdsec_without_uuid_is_deduplicated_by_machine_and_start_or_content() -> None:
    by_id = one("crowdsec", changed(CROWDSEC, uuid=None, id=42))
    assert by_id.dedup_key == "edge-1/42/2026-11-24T11:58:48Z"
    by_content = changed(CROWDSEC, uuid=None)
    assert (
        one("crowdsec", by_content).dedup_key
        == one("crowdsec", dict(reversed(by_content.items()))).dedup_key
    )


def test_simulated_scenario_is_informational_and_a_range_is_a_network() -> None:
    source = {"scope": "Range", "value": "203.0.113.0/24"}
    alert = one("crowdsec", changed(CROWDSEC, simulated=True, source=source, decisions=None))
    assert (alert.severity, alert.remote) == (Severity.INFORMATIONAL, None)
    assert any(observable.type is ObservableType.NETWORK for observable in alert.observables)


# Alertmanager


def test_each_alert_of_a_notification_is_one_and_a_resolved_one_has_its_own_key() -> None:
    firing, resolved = PARSERS["alertmanager"](ALERTMANAGER, NOW)
    assert firing.dedup_key == "c1b2d3e4f5a60718/2026-11-24T11:55:00.123456789Z"
    assert (firing.alert_class, firing.severity, firing.title) == (
        "brute_force",
        Severity.CRITICAL,
        "120 failed logins in 5 minutes",
    )
    assert (firing.host.address, firing.remote.address) == ("10.4.2.80", "203.0.113.9")  # type: ignore[union-attr]
    assert resolved.resolved
    assert resolved.dedup_key.endswith("/resolved")
    assert resolved.host.name == "db-3.corp.example"  # type: ignore[union-attr]
    assert not firing.resolved


def test_class_label_is_limited_to_known_classes() -> None:
    payload = copy.deepcopy(ALERTMANAGER)
    labels = payload["alerts"][0]["labels"]
    labels |= {"alertname": "X", "class": "exfiltration"}
    assert PARSERS["alertmanager"](payload, NOW)[0].alert_class == "exfiltration"
    labels["class"] = "drop_all_tables"
    assert PARSERS["alertmanager"](payload, NOW)[0].alert_class == "other"


# GuardDuty


def enveloped(finding: dict[str, Any]) -> dict[str, Any]:
    """Return the finding in its EventBridge envelope."""
    return {
        "version": "0",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "detail": finding,
    }


def test_finding_is_the_same_plain_by_eventbridge_and_by_sns() -> None:
    sns = {"Type": "Notification", "MessageId": "m", "Message": json.dumps(enveloped(GUARDDUTY))}
    bare = one("guardduty", GUARDDUTY)
    assert one("guardduty", enveloped(GUARDDUTY)) == one("guardduty", sns) == bare
    assert (bare.alert_class, bare.severity, bare.dedup_key) == (
        "c2_beacon",
        Severity.HIGH,
        GUARDDUTY["id"],
    )
    assert (bare.host.id, bare.host.name, bare.host.address) == (
        "i-99999999",
        "build-agent-4",
        "10.0.0.1",
    )  # type: ignore[union-attr]
    assert bare.remote.domain == "guarddutyc2activityb.example"  # type: ignore[union-attr]


def test_finding_with_a_higher_count_is_a_duplicate() -> None:
    assert (
        one("guardduty", changed(GUARDDUTY, service__count=9)).dedup_key
        == one("guardduty", GUARDDUTY).dedup_key
    )


@pytest.mark.parametrize(
    ("score", "severity"), [(1.0, 2), (3.9, 2), (4, 3), (6.9, 3), (7, 4), (8.9, 4), (9, 5), (10, 5)]
)
def test_guardduty_severities(score: float, severity: int) -> None:
    assert one("guardduty", changed(GUARDDUTY, severity=score)).severity == severity


def test_aws_messages_without_a_finding_are_named() -> None:
    with pytest.raises(NotAnAlert, match="confirm the subscription"):
        PARSERS["guardduty"](
            {"Type": "SubscriptionConfirmation", "SubscribeURL": "https://x.example"}, NOW
        )
    with pytest.raises(
        Unparseable, match=r"\$\.Message is text where the JSON of a finding \(the body is not JSON"
    ):
        PARSERS["guardduty"]({"Type": "Notification", "Message": "hello"}, NOW)


def test_api_call_names_the_caller_and_the_user() -> None:
    call = changed(
        GUARDDUTY,
        type="UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B",
        resource={"accessKeyDetails": {"userName": "alice"}},
    )
    call["service"]["action"] = {
        "awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": "198.51.100.4"}}
    }
    alert = one("guardduty", call)
    assert (alert.alert_class, alert.user.name, alert.remote.address) == (
        "account_compromise",
        "alice",
        "198.51.100.4",
    )  # type: ignore[union-attr]


# Falco


def test_falco_event_names_process_connection_and_user() -> None:
    alert = one("falco", FALCO)
    assert (alert.dedup_key, alert.title, alert.severity) == (
        FALCO["uuid"],
        FALCO["rule"],
        Severity.CRITICAL,
    )
    assert (alert.alert_class, alert.techniques) == ("c2_beacon", ("T1071",))
    assert (alert.remote.address, alert.remote.port, alert.local.address) == (
        "198.51.100.23",
        443,
        "10.4.2.17",
    )  # type: ignore[union-attr]
    assert (alert.process.name, alert.process.pid, alert.file) == ("/usr/bin/curl", 4711, None)  # type: ignore[union-attr]


def test_falco_without_uuid_is_deduplicated_by_rule_time_host_and_output() -> None:
    bare = changed(FALCO, uuid=None)
    assert one("falco", bare).dedup_key == one("falco", changed(bare, tags=[])).dedup_key
    assert one("falco", bare).dedup_key != one("falco", changed(bare, hostname="node-8")).dedup_key


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("Emergency", 5),
        ("Alert", 5),
        ("Critical", 5),
        ("Error", 4),
        ("Warning", 3),
        ("Notice", 2),
        ("Informational", 1),
        ("debug", 1),
        ("?", 0),
    ],
)
def test_falco_priorities(priority: str, severity: int) -> None:
    assert one("falco", changed(FALCO, priority=priority)).severity == severity


# All of them


@pytest.mark.parametrize(
    ("product", "payload", "says"),
    [
        (
            "suricata",
            {"event_type": "alert"},
            "suricata: $.alert is missing; is this an EVE alert?",
        ),
        ("suricata", "text", "suricata: $.event_type is missing; is this an EVE alert?"),
        (
            "wazuh",
            {"rule": {"id": "1"}},
            "wazuh: $.rule.level is missing; is this an alert of Wazuh 4 as in alerts.json?",
        ),
        (
            "wazuh",
            {"rule": {"id": "1", "level": 3}},
            "wazuh: $.id is missing; is this an alert of Wazuh 4 as in alerts.json?",
        ),
        (
            "crowdsec",
            [{"scenario": "a"}],
            "crowdsec: $[0].source is missing; is the plugin's format {{.|toJson}}?",
        ),
        (
            "alertmanager",
            {"alerts": [{"labels": {}}]},
            "alertmanager: $.alerts[0].labels.alertname is missing; is this a webhook of Alertmanager",
        ),
        (
            "guardduty",
            {"id": "x", "type": "y", "severity": []},
            "guardduty: $.severity is a list where a number was expected; is this a GuardDuty",
        ),
        ("falco", {"rule": ""}, "falco: $.rule is empty; is json_output on?"),
    ],
)
def test_payload_of_another_shape_is_refused_with_the_place(
    product: str, payload: Any, says: str
) -> None:
    with pytest.raises(Unparseable) as caught:
        PARSERS[product](payload, NOW)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("product", PARSERS)
def test_time_of_receipt_replaces_a_missing_time(product: str) -> None:
    times = ("timestamp", "created_at", "stop_at", "time", "updatedAt")
    bare = {key: value for key, value in copy.deepcopy(NATIVE[product]).items() if key not in times}
    bare.get("service", {}).pop("eventLastSeen", None)
    bare.get("output_fields", {}).pop("evt.time", None)
    for alert in bare.get("alerts", []):
        alert.pop("startsAt"), alert.pop("endsAt")
    assert {alert.time for alert in PARSERS[product](bare, NOW)} == {NOW}


def test_same_moment_in_another_spelling_is_the_same_alert() -> None:
    spelled = ("2026-11-28T20:00:00Z", "2026-11-28T21:00:00+01:00", "2026-11-28T20:00:00.000Z")
    firing = {
        one(
            "alertmanager",
            changed(ALERTMANAGER, alerts=[{**ALERTMANAGER["alerts"][0], "startsAt": at}]),
        ).dedup_key
        for at in spelled
    }
    crowdsec = {
        one("crowdsec", changed(CROWDSEC, uuid=None, id=7, start_at=at)).dedup_key for at in spelled
    }
    falco = {one("falco", changed(FALCO, uuid=None, time=at)).dedup_key for at in spelled}
    assert [len(keys) for keys in (firing, crowdsec, falco)] == [1, 1, 1]


def test_end_of_an_alert_has_the_fingerprint_of_its_start() -> None:
    alert = ALERTMANAGER["alerts"][0]
    start, end = (
        one("alertmanager", changed(ALERTMANAGER, alerts=[{**alert, "status": status}]))
        for status in ("firing", "resolved")
    )
    assert start.fingerprint == end.fingerprint
    assert start.dedup_key != end.dedup_key


@pytest.mark.parametrize("product", sorted(PARSERS))
def test_time_that_cannot_be_read_is_said(product: str) -> None:
    paths = {
        "suricata": "timestamp",
        "wazuh": "timestamp",
        "crowdsec": "stop_at",
        "guardduty": "service__eventLastSeen",
        "falco": "time",
    }
    if product == "alertmanager":
        bad = changed(
            ALERTMANAGER, alerts=[{**ALERTMANAGER["alerts"][0], "startsAt": "last Tuesday"}]
        )
    else:
        bad = changed(NATIVE[product], **{paths[product]: "last Tuesday"})
    (alert,) = PARSERS[product](bad, NOW)
    assert "'last Tuesday' is not a time" in [each.message for each in alert.incomplete]


@pytest.mark.parametrize("product", sorted(PARSERS))
def test_sample_of_each_product_is_complete(product: str) -> None:
    assert [
        each for alert in PARSERS[product](NATIVE[product], NOW) for each in alert.incomplete
    ] == []
