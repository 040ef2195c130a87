"""The policy document: parsing, canonical form, digest, and messages with place and fix."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.policy.document import DEFAULT_POLICY, Policy, parse_policy


def test_the_default_policy_is_parsed() -> None:
    policy = parse_policy(DEFAULT_POLICY)
    assert policy.rules == ()
    assert policy.limits.per_run.hosts == 10
    assert [window.within for window in policy.limits.windows] == [3600]
    assert (policy.drift.every, policy.breaker.compared_with, policy.approvals.remind_every) == (
        900,
        604_800,
        300,
    )


def test_an_empty_mapping_is_the_default_policy() -> None:
    assert parse_policy("{}") == Policy()


def test_names_are_stored_in_canonical_spelling() -> None:
    policy = parse_policy(
        "protect: {addresses: ['::ffff:192.0.2.1'], hosts: [DC-01.], domains: [Corp.Example.]}"
    )
    assert policy.protect.addresses == ("192.0.2.1",)
    assert policy.protect.hosts == ("dc-01",)
    assert policy.protect.domains == ("corp.example",)


def test_formatting_does_not_change_the_digest() -> None:
    one, other = (
        parse_policy("rules: [{effect: destroy, approve: true}]"),
        parse_policy("# x\nrules:\n  - {effect: [destroy], approve: {}}\n"),
    )
    assert one.rules[0].line != other.rules[0].line
    assert one.digest == other.digest
    assert one.digest != parse_policy("rules: [{effect: destroy, deny: no}]").digest


def test_a_policy_survives_storage() -> None:
    text = "rules:\n  - {time: {from: '22:00', to: '06:00'}, severity: 4, target: {networks: [10.0.0.1/8]}, deny: no}\nlimits: {windows: [{within: 1h30m, hosts: 2}]}\n"
    policy = parse_policy(text)
    stored = Policy.model_validate_json(policy.model_dump_json())
    assert stored == policy
    assert stored.digest == policy.digest


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("protect:\n  adresses: []\n", "p.yaml:2:3", "did you mean 'addresses'?"),
        ("limits:\n  per_run:\n    hosts: -1\n", "p.yaml:3:12", "greater than or equal to 0"),
        ("rules:\n  - {efect: contain, allow: true}\n", "p.yaml:2:6", "did you mean 'effect'?"),
        ("rules:\n  - {effect: [contan], deny: no}\n", "p.yaml:2:15", "'contain'"),
        ("rules:\n  - {effect: read, deny: no}\n", "p.yaml:2:5", "reads are always allowed"),
        ("rules:\n  - {effect: contain}\n", "p.yaml:2:5", "decides nothing; give exactly one of"),
        ("rules:\n  - {allow: true, deny: no}\n", "p.yaml:2:5", "decides `allow` and `deny`"),
        ("rules:\n  - {allow: false}\n", "p.yaml:2:13", "write `deny:` with a reason"),
        ("rules:\n  - {approve: false}\n", "p.yaml:2:15", "write `allow: true`"),
        ("rules:\n  - {approve: {quorm: 2}}\n", "p.yaml:2:16", "did you mean 'quorum'?"),
        ("rules:\n  - {allow: true, line: 3}\n", "p.yaml:2:19", "unknown field"),
        ("rules:\n  - {allow: true, name: 'default:x'}\n", "p.yaml:2:25", "choose another"),
        (
            "rules:\n  - {time: {from: '25:00', to: '06:00'}, deny: no}\n",
            "p.yaml:2:19",
            "is not a time of day",
        ),
        ("rules:\n  - {time: {from: '22:00'}, deny: no}\n", "p.yaml:2:12", "give both"),
        (
            "rules:\n  - {time: {days: sun, zone: Europe/Berln}, deny: no}\n",
            "p.yaml:2:30",
            "did you mean 'Europe/Berlin'?",
        ),
        ("rules:\n  - {target: {}, deny: no}\n", "p.yaml:2:14", "matches every target"),
        (
            "rules:\n  - {severity: {at_least: 5, at_most: 2}, deny: no}\n",
            "p.yaml:2:16",
            "exchange the two",
        ),
        ("rules: {a: b}\n", "p.yaml:1:8", "a list"),
        ("limits:\n  per_hour: {hosts: 1}\n", "p.yaml:2:3", "unknown field"),
        ("limits: {windows: [{within: 1x}]}\n", "p.yaml:1:29", "write it like 90s"),
        ("limits: {windows: [{per: sorce, within: 1h}]}\n", "p.yaml:1:26", "'source'"),
        ("approve: [destroy]\n", "p.yaml:1:1", "unknown field"),
        ("protect:\n  addresses: [evil]\n", "p.yaml:2:15", "evil"),
        ("protect: {hosts: [a], hosts: [b]}\n", "p.yaml:1:23", "appears twice"),
        ("- a\n", "p.yaml:1:1", "a policy is a mapping"),
        ("widest_network: {ipv4: 0}\n", "p.yaml:1:24", "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_reported_with_place_and_fix(text: str, place: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy(text, "p.yaml")
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)
