"""Policy evaluation: protection in every spelling, kill switches, limits, and the circuit breaker."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.domain.observable import ObservableType
from orchestrator.policy.document import Policy, parse_policy
from orchestrator.policy.evaluate import (
    ChangeContext,
    ChangeFacts,
    EngagedSwitch,
    LimitUsage,
    OwnInfrastructure,
    PolicyInForce,
    evaluate,
)

POLICY = parse_policy("""\
protect:
  addresses: [192.0.2.53]
  networks: [10.10.0.0/24, "2001:db8:1::/48"]
  hosts: [dc-01, gw.corp.example, 203.0.113.99, "b\u00fccher"]
  users: [administrator, "svc@corp.example"]
  domains: [corp.example]
limits: {per_run: {hosts: 2}, by: leads, quorum: 2}
""")
CONTEXT = ChangeContext(playbook="c2", source="siem")


def change(
    kind: str,
    value: str,
    effect: Effect = Effect.CONTAIN,
    *,
    changed: bool = True,
    action: str = "act",
    **planned_change: Any,
) -> Change:
    return Change(
        connection="firewall",
        connector="palo_alto",
        action=action,
        effect=effect,
        input={},
        planned_change={
            "target": {"type": kind, "value": value},
            "changed": changed,
            "summary": "",
            **planned_change,
        },
    )


def evaluated(
    planned: Change,
    facts: ChangeFacts | None = None,
    context: ChangeContext = CONTEXT,
    policy: Policy = POLICY,
) -> PolicyVerdict:
    return evaluate(
        planned, PolicyInForce(3, policy.digest, policy), facts or ChangeFacts(), context
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("address", "192.0.2.53"),
        ("address", "::ffff:192.0.2.53"),
        ("address", "::ffff:c000:235"),
        ("address", "64:ff9b::192.0.2.53"),
        ("address", "2002:c000:235::1"),
        ("address", " 192.0.2.53 "),
        ("address", "10.10.0.7"),
        ("address", "2001:db8:1::5"),
        ("address", "127.0.0.1"),
        ("address", "::1"),
        ("address", "0.0.0.0"),
        ("address", "224.0.0.251"),
        ("address", "169.254.169.254"),
        ("address", "fe80::1"),
        ("address", "not an address"),
        ("network", "10.10.0.0/25"),
        ("network", "10.10.0.0/16"),
        ("network", "192.0.2.0/24"),
        ("network", "192.0.2.53/32"),
        ("network", "10.0.0.0/8"),
        ("network", "0.0.0.0/0"),
        ("network", "127.0.0.0/24"),
        ("network", "::ffff:10.10.0.0/120"),
        ("host", "dc-01"),
        ("host", "DC-01."),
        ("host", "dc-01.corp.example"),
        ("host", "gw"),
        ("host", "192.0.2.53"),
        ("user", "administrator"),
        ("user", "CORP\\Administrator"),
        ("user", "administrator@corp.example"),
        ("host", "\uff44\uff43-01"),
        ("user", "\uff41dministrator"),
        ("address", "\uff11\uff19\uff12.0.2.53"),
        ("domain", "corp\u3002example"),
        ("user", "svc"),
        ("user", "corp\\svc"),
        ("email", "Administrator@Corp.Example"),
        ("domain", "corp.example"),
        ("domain", "Mail.Corp.Example."),
        ("domain", "example"),
        ("url", "https://mail.corp.example/x"),
        ("url", "http://192.0.2.53/x"),
        ("url", "http://[::1]/"),
        ("url", "http://3221226037/"),
        ("url", "http://0xc0.0x0.0x235/"),
        ("address", "::ffff:0:192.0.2.53"),
        ("address", "64:ff9b:1::192.0.2.53"),
        ("address", "2001:0:53aa:64c::3fff:fdca"),  # Teredo
        ("address", "2001:DB8:0001:0:0:0:0:5"),
        ("address", "2001:db8:1::5%eth0"),
        ("address", "[2001:db8:1::5]"),
        ("address", "203.0.113.99"),
        ("network", "203.0.113.64/26"),
        ("network", "64:ff9b::192.0.2.0/120"),
        ("network", "64:ff9b::/96"),
        ("network", "2002:c000:200::/40"),
        ("network", "::fffe:0:0/95"),
        ("network", "10.10.0.0/255.255.255.128"),
        ("host", "[2001:db8:1::5]"),
        ("host", "2001:db8:1::5%2"),
        ("host", "192.0.565"),
        ("host", "0300.0.2.53"),
        ("host", "0xc0000235"),
        ("host", "192.000.002.053"),
        ("host", "192.0.2.53:443"),
        ("host", "127.1"),
        ("host", "DC-01$"),
        ("host", "\\\\dc-01"),
        ("host", "xn--bcher-kva"),
        ("host", "B\u00dcCHER.corp.example"),
        ("user", "administrator+news@corp.example"),
        ("user", "CORP/administrator"),
        ("email", "administrator+x@corp.example."),
        ("domain", "gw.corp.example"),
    ],
)
def test_protected_targets_are_denied_in_every_spelling(kind: str, value: str) -> None:
    assert evaluated(change(kind, value)).outcome is Verdict.DENY
    assert evaluated(change(kind, value, Effect.DESTROY)).outcome is Verdict.DENY


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("address", "198.51.100.7"),
        ("address", "10.10.1.7"),
        ("network", "198.51.100.0/24"),
        ("host", "dc-011"),
        ("host", "12345"),  # the id of something, not 0.0.48.57
        ("network", "2002:c633:6407::/48"),  # 6to4 of another network
        ("address", "64:ff9b::198.51.100.7"),
        ("host", "gw.other.example"),
        ("user", "svc@other.example"),
        ("user", "j.doe"),
        ("user", "admin+administrator"),
        ("domain", "evilcorp.example"),
        ("url", "https://evil.test/corp.example"),
        ("hash", "44d88612fea8a8f36de82e1278abb02f"),
    ],
)
def test_similar_targets_are_not_protected(kind: str, value: str) -> None:
    verdict = evaluated(change(kind, value))
    assert verdict.outcome is Verdict.ALLOW, verdict.reasons
    assert (verdict.policy_version, verdict.policy_digest) == (3, POLICY.digest)


@pytest.mark.parametrize("name", ["dc-01", "10.10.0.9"])
def test_a_host_is_protected_by_each_of_its_names(name: str) -> None:
    assert (
        evaluated(change("host", "0123456789abcdef"), ChangeFacts(names=(name,))).outcome
        is Verdict.DENY
    )


def test_an_address_of_a_protected_host_is_protected() -> None:
    assert (
        evaluated(change("address", "10.99.0.1"), ChangeFacts(names=("dc-01", "10.99.0.1"))).outcome
        is Verdict.DENY
    )


def test_lifting_a_block_of_a_protected_target_is_allowed() -> None:
    assert evaluated(change("address", "192.0.2.53", Effect.RESTORE)).outcome is Verdict.ALLOW


@pytest.mark.parametrize(
    ("scope", "name", "stops"),
    [
        ("global", "*", True),
        ("connection", "firewall", True),
        ("connection", "palo_alto", True),
        ("connection", "edr", False),
        ("playbook", "c2", True),
        ("playbook", "other", False),
        ("source", "siem", True),
        ("source", "other", False),
        ("of a later version", "x", True),
    ],
)
@pytest.mark.parametrize("effect", [Effect.CONTAIN, Effect.RESTORE, Effect.NOTIFY, Effect.DESTROY])
def test_a_kill_switch_denies_changes_of_its_scope(
    scope: str, name: str, stops: bool, effect: Effect
) -> None:
    verdict = evaluated(
        change("address", "198.51.100.7", effect),
        ChangeFacts(switches=(EngagedSwitch(scope=scope, name=name, reason="drill"),)),
    )
    assert (verdict.outcome is Verdict.DENY) is stops
    assert any("drill" in reason for reason in verdict.reasons) is stops


def usage(others: int | None, limit: int = 2, **more: Any) -> LimitUsage:
    return LimitUsage(
        **{
            "kind": "hosts",
            "per": "run",
            "name": "",
            "within": None,
            "limit": limit,
            "others": others,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("others", "adds", "expected"),
    [
        (0, 1, Verdict.ALLOW),
        (1, 1, Verdict.ALLOW),
        (2, 1, Verdict.ASK),
        (None, 9, Verdict.ALLOW),
        (0, 3, Verdict.ASK),
    ],
)
def test_an_exceeded_limit_asks_and_counts_this_change(
    others: int | None, adds: int, expected: Verdict
) -> None:
    verdict = evaluated(change("host", "ws-1"), ChangeFacts(used=(usage(others, adds=adds),)))
    assert verdict.outcome is expected
    asks = expected is Verdict.ASK
    assert (verdict.by, verdict.quorum) == (("leads", 2) if asks else (None, 1))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "c2"}, "c2 allows 2 per run"),
        (
            {"per": "source", "name": "siem", "within": 3600},
            "the policy allows 2 within 1h for the source siem",
        ),
        ({"per": "overall", "within": 90}, "the policy allows 2 within 90s"),
    ],
)
def test_a_limit_names_its_owner(more: dict[str, Any], words: str) -> None:
    assert (
        words in evaluated(change("host", "ws-1"), ChangeFacts(used=(usage(2, **more),))).reasons[0]
    )


def test_the_strictest_quorum_of_rule_and_limit_applies() -> None:
    verdict = evaluated(change("host", "ws-1", Effect.DESTROY), ChangeFacts(used=(usage(2),)))
    assert (verdict.outcome, verdict.quorum, len(verdict.reasons)) == (Verdict.ASK, 2, 2)


def test_a_tripped_breaker_asks_about_each_change() -> None:
    policy = parse_policy("breaker: {by: leads, quorum: 3}")
    verdict = evaluated(
        change("host", "ws-1"),
        ChangeFacts(breaker="siem had 21 targets contained"),
        policy=policy,
    )
    assert (verdict.outcome, verdict.by, verdict.quorum) == (Verdict.ASK, "leads", 3)
    assert (
        evaluated(
            change("host", "ws-1", Effect.NOTIFY), ChangeFacts(breaker="x"), policy=policy
        ).outcome
        is Verdict.ALLOW
    )


def test_a_denial_precedes_limits_and_breaker() -> None:
    policy = parse_policy("rules: [{effect: contain, deny: not today}]")
    assert (
        evaluated(
            change("host", "ws-1"), ChangeFacts(used=(usage(9),), breaker="x"), policy=policy
        ).outcome
        is Verdict.DENY
    )


def test_a_change_that_changes_nothing_is_allowed() -> None:
    assert (
        evaluated(
            change("host", "ws-1", changed=False), ChangeFacts(used=(usage(9),), critical=True)
        ).outcome
        is Verdict.ALLOW
    )


def test_a_change_without_undo_needs_approval() -> None:
    assert evaluated(change("user", "j.doe", Effect.DESTROY)).outcome is Verdict.ASK


def test_containing_a_critical_asset_needs_approval() -> None:
    assert evaluated(change("host", "ws-1"), ChangeFacts(critical=True)).outcome is Verdict.ASK
    assert evaluated(change("host", "ws-1"), ChangeFacts(critical=False)).outcome is Verdict.ALLOW


def test_a_denied_change_is_not_asked_about() -> None:
    assert evaluated(change("host", "dc-01", Effect.DESTROY)).outcome is Verdict.DENY


OWN = (
    OwnInfrastructure(type=ObservableType.ADDRESS, value="10.9.0.5", why="default gateway"),
    OwnInfrastructure(
        type=ObservableType.HOST, value="fw.mgmt.example", why="the connection firewall"
    ),
)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("address", "::ffff:10.9.0.5"),
        ("network", "10.9.0.0/24"),
        ("host", "FW.mgmt.example."),
        ("host", "fw"),
        ("domain", "mgmt.example"),
        ("url", "https://fw.mgmt.example/api"),
    ],
)
def test_own_infrastructure_is_protected_with_its_reason(kind: str, value: str) -> None:
    verdict = evaluated(change(kind, value), ChangeFacts(own=OWN))
    assert verdict.outcome is Verdict.DENY
    assert "is needed by Tocsin itself: " in verdict.reasons[0]
    assert (
        evaluated(change(kind, value, Effect.RESTORE), ChangeFacts(own=OWN)).outcome
        is Verdict.ALLOW
    )


def test_similar_names_are_not_own_infrastructure() -> None:
    for kind, value in (("address", "10.9.0.6"), ("domain", "xfw.mgmt.example"), ("host", "fw2")):
        assert evaluated(change(kind, value), ChangeFacts(own=OWN)).outcome is Verdict.ALLOW
