"""The alerts that real products sent are parsed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.alert import Alert, Severity
from orchestrator.intake.batch import AlertBatch
from orchestrator.intake.body import parse_json
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.parsers import parser_for
from tests.harness.intake_samples import NOW, load, stored


def read(product: str, path: Path) -> AlertBatch | NotAnAlert | Unparseable:
    """Return the alerts in a stored body, or the refusal."""
    try:
        return parser_for(product)(parse_json(path.read_bytes()), NOW)
    except (NotAnAlert, Unparseable) as refusal:
        return refusal


def kinds(product: str, folder: str) -> tuple[list[Alert], Counter[str], dict[str, str]]:
    """Return the alerts of a folder, the number of files per outcome, and the refusals."""
    results = {path.stem: read(product, path) for path in stored(folder)}
    alerts = [
        alert for result in results.values() if isinstance(result, AlertBatch) for alert in result
    ]
    refusals = {
        name: str(result) for name, result in results.items() if not isinstance(result, AlertBatch)
    }
    counts = Counter(
        "alerts" if isinstance(result, AlertBatch) else type(result).__name__
        for result in results.values()
    )
    return alerts, counts, refusals


def test_every_stored_eve_alert_is_an_alert_and_telemetry_is_not() -> None:
    alerts, counts, refusals = kinds("suricata", "suricata")
    assert counts == {"alerts": 120, "NotAnAlert": 4}
    assert set(refusals) == {"700", "701", "702", "704"}
    assert all(alert.severity is not Severity.UNKNOWN for alert in alerts)
    assert all(alert.local and alert.local.address for alert in alerts)
    assert Counter(alert.alert_class for alert in alerts)["c2_beacon"] == 1
    assert all(alert.time < NOW for alert in alerts)
    assert len({alert.dedup_key for alert in alerts}) == len(alerts)


def test_no_stored_eve_alert_has_a_dns_server_as_remote_end() -> None:
    alerts, _, _ = kinds("suricata", "suricata")
    remotes = {
        alert.remote.address: alert.remote.port
        for alert in alerts
        if alert.remote and "DNS Query" in alert.title
    }
    assert remotes == {}


def test_every_stored_crowdsec_alert_with_a_scenario_is_an_alert() -> None:
    alerts, counts, refusals = kinds("crowdsec", "crowdsec")
    assert counts == {"alerts": 20, "Unparseable": 1}
    assert refusals == {
        "038": "crowdsec: $.scenario is missing; is the plugin's format {{.|toJson}}?"
    }
    assert {alert.alert_class for alert in alerts if alert.rule == "crowdsecurity/ssh-bf"} == {
        "brute_force"
    }
    by_content = [alert.dedup_key for alert in alerts if alert.dedup_key.startswith("sha256:")]
    assert len(by_content) == len(set(by_content)) == 12


def test_every_stored_falco_event_is_an_alert_and_two_of_one_time_are_one() -> None:
    alerts, counts, _ = kinds("falco", "falco")
    assert counts == {"alerts": 4}
    assert {alert.severity for alert in alerts} == {Severity.INFORMATIONAL}


def test_every_stored_guardduty_finding_is_an_alert_and_a_security_hub_event_is_not() -> None:
    alerts, counts, _ = kinds("guardduty", "aws_guardduty")
    assert counts == {"alerts": 4}
    assert [alert.alert_class for alert in alerts] == [
        "account_compromise",
        "exfiltration",
        "account_compromise",
        "account_compromise",
    ]
    _, counts, refusals = kinds("guardduty", "aws_eventbridge_finding")
    assert counts == {"NotAnAlert": 3}
    assert "Security Hub Findings - Custom Action" in refusals["001"]


def test_stored_bodies_that_are_not_native_are_refused_with_the_expectation() -> None:
    _, counts, refusals = kinds("wazuh", "wazuh")
    assert counts == {"Unparseable": 1}
    assert refusals["001"].startswith("wazuh: $.rule is missing")
    _, counts, refusals = kinds("alertmanager", "prometheus_alertmanager_keepmock")
    assert set(counts) == {"Unparseable"}
    assert all("$.alerts is missing" in text for text in refusals.values())


def test_grafana_notification_is_parsed_as_alertmanager() -> None:
    alerts, _, _ = kinds("alertmanager", "grafana")
    assert [alert.resolved for alert in alerts] == [True, False]


@pytest.mark.parametrize(
    ("product", "folder", "expected"),
    [
        ("okta", "okta", {"alerts": 4}),
        ("elastic_security", "elastic_security", {"alerts": 1}),
        ("sentinelone", "sentinelone", {"alerts": 9, "NotAnAlert": 7}),
        ("crowdstrike", "crowdstrike", {"alerts": 2, "NotAnAlert": 5}),
        ("microsoft_defender", "microsoft_defender_endpoint", {"alerts": 1}),
        ("github", "github_webhook", {"alerts": 5, "NotAnAlert": 4}),
        ("ocsf", "ocsf", {"alerts": 9}),
        ("aws_securityhub", "aws_securityhub_asff", {"alerts": 25}),
        ("aws_securityhub", "aws_eventbridge_finding", {"alerts": 2, "NotAnAlert": 1}),
    ],
)
def test_shipped_mappings_parse_what_their_products_sent(
    product: str, folder: str, expected: dict[str, int]
) -> None:
    alerts, counts, _ = kinds(product, folder)
    assert dict(counts) == expected
    assert all(alert.severity is not Severity.UNKNOWN for alert in alerts)
    assert all(alert.time < NOW for alert in alerts)


def only(product: str, folder: str, name: str) -> Alert:
    """Return the only alert in a stored body."""
    (alert,) = parser_for(product)(load(folder, name), NOW)
    return alert


@pytest.mark.parametrize(
    ("product", "folder", "name", "fields"),
    [
        (
            "okta",
            "okta",
            "011",
            {
                "user.name": "homer@springfield.gov",
                "remote.address": "1.1.1.1",
                "alert_class": "account_compromise",
                "severity": 4,
            },
        ),
        (
            "okta",
            "okta",
            "018",
            {
                "dedup_key": "2a992f80-d1ad-4f62-900e-8c68bb72a21b",
                "title": "Create API token",
                "severity": 3,
            },
        ),
        (
            "elastic_security",
            "elastic_security",
            "001",
            {"severity": 3, "process.name": "bash", "rule": "10754992-28c7-4472-be5b-f3770fd04f2d"},
        ),
        (
            "sentinelone",
            "sentinelone",
            "048",
            {
                "severity": 4,
                "alert_class": "malware",
                "host.name": "bobspc",
                "file.path": "/home/ubuntu/eicar.txt",
            },
        ),
        (
            "sentinelone",
            "sentinelone",
            "063",
            {
                "resolved": True,
                "host.name": "so-agent-win12",
                "file.sha1": "02699626f388ed830012e5b787640e71c56d42d8",
            },
        ),
        (
            "crowdstrike",
            "crowdstrike",
            "034",
            {"severity": 2, "host.name": "macbook", "user.name": "bobert", "file.name": "pup app"},
        ),
        (
            "crowdstrike",
            "crowdstrike",
            "035",
            {"severity": 2, "host.id": "0000000000bcd276ea01d5871c6603b6"},
        ),
        (
            "microsoft_defender",
            "microsoft_defender_endpoint",
            "001",
            {"host.id": "111e6dd8c833c8a052ea231ec1b19adaf497b625", "user.domain": "DOMAIN"},
        ),
        ("github", "github_webhook", "056", {"resolved": True, "severity": 3}),
        (
            "github",
            "github_webhook",
            "055",
            {"user": None, "host": None, "rule": "GHSA-c2qf-rxjj-qqgw"},
        ),
        (
            "ocsf",
            "ocsf",
            "055",
            {"severity": 5, "title": "Ensure That RDP Access Is Restricted From the Internet"},
        ),
        (
            "aws_securityhub",
            "aws_eventbridge_finding",
            "002",
            {"severity": 3, "remote.address": "208.115.85.104", "user.name": "kapil"},
        ),
    ],
)
def test_mapped_alert_has_the_values_of_the_product(
    product: str, folder: str, name: str, fields: dict[str, Any]
) -> None:
    alert = only(product, folder, name)
    for path, expected in fields.items():
        value: Any = alert
        for part in path.split("."):
            value = getattr(value, part)
        assert value == expected, path
