"""The shipped playbooks: they compile, and exactly the alerts next to them start them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel

import playbooks
from connectors.capabilities import CAPABILITIES
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.domain.alert import Severity
from orchestrator.domain.errors import Invalid
from orchestrator.intake.authenticate import Scheme
from orchestrator.playbook.language.evaluate import evaluate, evaluate_condition
from orchestrator.playbook.language.yaml import load
from orchestrator.policy.document import parse_policy
from tests.harness.shipped_playbooks import ROOT, alerts_in, asset_view, cases_of, plan_of

OUTPUTS: dict[str, type[BaseModel]] = {
    f"{capability.default_connection}.{spec.name}": spec.output
    for capability in CAPABILITIES
    for spec in capability.actions
}
DEMO: list[dict[str, Any]] = load(playbooks.demo().read_text("utf-8")).data["alerts"]
PLANS = {name: plan_of(name) for name in playbooks.NAMES}

# file -> class, host (name or address), user, remote (address or domain)
EXPECTED = {
    "account-compromise/alerts/github-leaked-token.json": ("account_compromise", None, None, None),
    "account-compromise/alerts/guardduty-console-login.json": (
        "account_compromise",
        None,
        "build-bot",
        "198.51.100.88",
    ),
    "account-compromise/alerts/okta-mfa-bypass-admin.json": (
        "account_compromise",
        None,
        "a.admin@corp.example",
        "198.51.100.61",
    ),
    "account-compromise/alerts/okta-reported-by-user.json": (
        "account_compromise",
        None,
        "j.doe@corp.example",
        "203.0.113.14",
    ),
    "account-compromise/alerts/okta-sign-in.json": (
        "other",
        None,
        "m.ross@corp.example",
        "192.0.2.10",
    ),
    "account-compromise/alerts/wazuh-failures-then-success.json": (
        "account_compromise",
        "mail-01",
        "m.ross@corp.example",
        "203.0.113.21",
    ),
    "brute-force-block/alerts/alertmanager-hostile-text.json": (
        "brute_force",
        "web-01",
        None,
        "203.0.113.44",
    ),
    "brute-force-block/alerts/alertmanager-login-failures.json": (
        "brute_force",
        "mail-01",
        None,
        "203.0.113.205",
    ),
    "brute-force-block/alerts/alertmanager-resolved.json": (
        "brute_force",
        "mail-01",
        None,
        "203.0.113.206",
    ),
    "brute-force-block/alerts/crowdsec-ssh.json": ("brute_force", "edge-1", None, "203.0.113.9"),
    "brute-force-block/alerts/crowdsec-two-at-once.json": (
        "brute_force",
        "edge-1",
        None,
        "203.0.113.31",
    ),
    "brute-force-block/alerts/guardduty-ssh-low.json": (
        "brute_force",
        "bastion",
        None,
        "203.0.113.90",
    ),
    "brute-force-block/alerts/wazuh-own-resolver.json": (
        "brute_force",
        "web-01",
        None,
        "10.10.0.53",
    ),
    "brute-force-block/alerts/wazuh-sshd.json": ("brute_force", "web-01", None, "198.51.100.77"),
    "brute-force-block/alerts/wazuh-well-known-scanner.json": (
        "brute_force",
        "mail-01",
        None,
        "198.51.100.150",
    ),
    "c2-beacon-containment/alerts/crowdstrike-command-and-control.json": (
        "c2_beacon",
        "mac-113",
        "s.lee",
        "203.0.113.50",
    ),
    "c2-beacon-containment/alerts/elastic-beacon-rule.json": (
        "c2_beacon",
        "ws-015",
        "m.ross",
        "198.51.100.120",
    ),
    "c2-beacon-containment/alerts/falco-outbound-c2.json": (
        "c2_beacon",
        "web-01",
        "www-data",
        "198.51.100.23",
    ),
    "c2-beacon-containment/alerts/guardduty-c2-activity.json": (
        "c2_beacon",
        "build-agent-4",
        None,
        "203.0.113.80",
    ),
    "c2-beacon-containment/alerts/suricata-beacon-on-domain-controller.json": (
        "c2_beacon",
        "10.10.0.10",
        None,
        "203.0.113.67",
    ),
    "c2-beacon-containment/alerts/suricata-cobalt-strike.json": (
        "c2_beacon",
        "10.20.0.42",
        None,
        "203.0.113.66",
    ),
    "c2-beacon-containment/alerts/suricata-dns-beacon.json": (
        "c2_beacon",
        "10.20.0.7",
        None,
        "c2.evil.example",
    ),
    "malware-on-endpoint/alerts/crowdstrike-on-domain-controller.json": (
        "malware",
        "dc-01",
        "system",
        None,
    ),
    "malware-on-endpoint/alerts/crowdstrike-ransomware.json": ("malware", "ws-023", "j.doe", None),
    "malware-on-endpoint/alerts/crowdstrike-unknown-file.json": (
        "malware",
        "ws-007",
        "m.ross",
        None,
    ),
    "malware-on-endpoint/alerts/falco-drop-and-execute.json": (
        "malware",
        "db-01",
        "postgres",
        None,
    ),
    "malware-on-endpoint/alerts/falco-shell-in-container.json": ("other", "web-01", "root", None),
    "malware-on-endpoint/alerts/suricata-coinminer.json": (
        "malware",
        "10.20.0.200",
        None,
        "203.0.113.12",
    ),
    "malware-on-endpoint/alerts/suricata-policy-only.json": (
        "policy_violation",
        "10.20.0.15",
        None,
        "192.0.2.80",
    ),
    "malware-on-endpoint/alerts/wazuh-virustotal.json": ("malware", "ws-015", None, None),
}


def test_every_shipped_alert_is_in_the_demo_and_in_the_table() -> None:
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/alerts/*.json")}
    assert there == set(EXPECTED) == {line["file"] for line in DEMO}


def test_the_demo_shows_at_least_twenty_alerts_of_eight_products_and_all_schemes() -> None:
    assert len(DEMO) >= 24
    assert len({line["product"] for line in DEMO}) >= 8
    assert {line["auth"] for line in DEMO} == {scheme.value for scheme in Scheme}
    assert sum("triggered" not in line for line in DEMO) >= 4
    assert any(line.get("duplicate") for line in DEMO)
    assert any(line.get("refused") for line in DEMO)


def test_source_of_the_demo_has_one_product_and_one_scheme() -> None:
    assert (
        max(
            Counter(
                source
                for source, _ in {
                    (line["source"], (line["product"], line["auth"])) for line in DEMO
                }
            ).values()
        )
        == 1
    )


@pytest.mark.parametrize("line", DEMO, ids=lambda line: line["file"])
def test_alert_has_the_fields_that_its_playbook_needs(line: dict[str, Any]) -> None:
    alert = alerts_in(line["file"], line["product"])[0]
    host = alert.host and (alert.host.name or alert.host.address or alert.host.id)
    remote = alert.remote and (alert.remote.address or alert.remote.domain)
    assert (alert.alert_class, host, alert.user and alert.user.name, remote) == EXPECTED[
        line["file"]
    ]


@pytest.mark.parametrize("line", DEMO, ids=lambda line: line["file"])
def test_alert_triggers_only_the_playbook_of_the_demo(line: dict[str, Any]) -> None:
    expected = [line["triggered"]] if "triggered" in line else []
    for alert in alerts_in(line["file"], line["product"]):
        scope = {"alert": asset_view(alert, line["product"])}
        triggered = [
            name
            for name, plan in PLANS.items()
            if plan.trigger and evaluate_condition(plan.trigger.when, scope)
        ]
        assert triggered == expected
        for name in triggered:
            trigger = PLANS[name].trigger
            assert trigger is not None
            assert evaluate(trigger.once_per, scope)


@pytest.mark.parametrize("name", playbooks.NAMES)
def test_trigger_evaluates_an_alert_without_details(name: str) -> None:
    trigger = PLANS[name].trigger
    assert trigger is not None
    for line in DEMO:
        alert = alerts_in(line["file"], line["product"])[0]
        nothing = dict.fromkeys(("host", "user", "remote", "local", "file", "process", "url"))
        bare = alert.model_copy(update={**nothing, "severity": Severity.FATAL})
        assert (
            evaluate_condition(trigger.when, {"alert": asset_view(bare, line["product"])}) is False
        )


@pytest.mark.parametrize("name", playbooks.NAMES)
def test_playbook_rolls_back_and_every_block_has_an_end(name: str) -> None:
    plan = PLANS[name]
    assert plan.playbook == name
    assert plan.on_failure == "roll_back"
    text = playbooks.folder(name).joinpath("playbook.yaml").read_text("utf-8")
    assert text.count("firewall.block_address") == text.count("for: 24h")


@pytest.mark.parametrize("name", playbooks.NAMES)
def test_every_stub_fits_the_output_of_its_action(name: str) -> None:
    cases = cases_of(name)
    for stubs in (cases.stubs, *(case.stubs for case in cases.cases)):
        for action, stub in stubs.items():
            if stub.fails is None:
                OUTPUTS[action].model_validate(stub.output)


@pytest.mark.parametrize("name", playbooks.NAMES)
def test_every_case_names_an_existing_file(name: str) -> None:
    for case in cases_of(name).cases:
        assert case.given.file is None or (ROOT / name / case.given.file).is_file(), case.name


def test_lab_policy_protects_the_targets_of_the_demo() -> None:
    policy = parse_policy(
        (ROOT.parent / "orchestrator/first_start_data/lab_policy.yaml").read_text("utf-8")
    )
    assert "10.10.0.53" in policy.protect.addresses
    assert "dc-01" in policy.protect.hosts


PLAN = PLANS["brute-force-block"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "playbook: other\ncases: [{name: a, expect: {status: completed}}]",
            "t.yaml:1:11: the playbook next to it is 'brute-force-block'",
        ),
        (
            "playbook: brute-force-block\nstubs: {firewall.block_adress: {}}\ncases: [{name: a, expect: {status: completed}}]",
            "t.yaml:2:9: the playbook does not use 'firewall.block_adress'; did you mean 'firewall.block_address'?",
        ),
        ("playbook: brute-force-block\ncases: [{name: a}]", "set `expect` for a run that starts"),
        (
            "playbook: brute-force-block\ncases: [{name: a, triggers: false, expect: {status: completed}}]",
            "omit it with `triggers: false`",
        ),
        (
            "playbook: brute-force-block\ncases: [{name: a, expect: {status: fine}}]",
            "t.yaml:2:36: cases.0.expect.status",
        ),
        (
            "playbook: brute-force-block\ncases: [{name: a, given: {file: x.json}, expect: {status: completed}}]",
            "`file` and `product` go together",
        ),
        (
            "playbook: brute-force-block\ncases: [{name: a, given: {file: ../../x.json, product: falco}, expect: {status: completed}}]",
            "below the playbook's folder",
        ),
        (
            "playbook: brute-force-block\nstubs: {chat.post: {fails: rejected, output: {a: 1}}}\ncases: [{name: a, expect: {status: completed}}]",
            "a stub that always fails has no output",
        ),
        ("playbook: brute-force-block\ncases: []", "cases is empty; write at least one"),
        ("playbook: [", "t.yaml:"),
    ],
)
def test_bad_tests_yaml_is_refused_with_place_and_fix(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_tests(text, "t.yaml", PLAN)
    assert message in str(caught.value)


def test_stub_can_have_nothing_to_change() -> None:
    assert Stub.model_validate({"changed": False}).changed is False
