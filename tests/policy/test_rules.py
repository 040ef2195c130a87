"""Does the first rule that fits decide, whatever a target is called, and do the default rules close the list?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.policy.document import parse_policy
from orchestrator.policy.evaluate import Context, Facts, InForce, evaluate
from orchestrator.policy.explain import explain, told

BERLIN_NIGHT = '{from: "22:00", to: "06:00", days: [fri, sat], zone: Europe/Berlin}'


def change(kind: str = "host", value: str = "ws-1", effect: Effect = Effect.CONTAIN) -> Change:
    planned_change = {"target": {"type": kind, "value": value}, "changed": True, "summary": ""}
    return Change(
        connection="firewall",
        connector="palo_alto",
        action="block",
        effect=effect,
        input={},
        planned_change=planned_change,
    )


def said(
    rules: str, wish: Change | None = None, facts: Facts | None = None, **context: Any
) -> PolicyVerdict:
    policy = parse_policy("rules:\n" + rules)
    return evaluate(
        wish or change(),
        InForce(1, policy.digest, policy),
        facts or Facts(),
        Context(**{"playbook": "c2", **context}),
    )


def test_the_first_rule_that_fits_decides() -> None:
    rules = "  - {effect: contain, approve: {by: leads, quorum: 2}}\n  - {name: never, effect: contain, deny: no}\n"
    verdict = said(rules)
    assert (verdict.outcome, verdict.by, verdict.quorum) == (Verdict.ASK, "leads", 2)
    assert verdict.rule == "rule 1 (line 2)"
    assert said("  - {name: never, effect: contain, deny: not here}\n" + rules).reasons == (
        "never of the policy denies it: not here",
    )


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("effect: contain", True),
        ("effect: [destroy, restore]", False),
        ("action: block", True),
        ("action: firewall.block", True),
        ("action: edr.block", False),
        ("tags: [other, lab-machine]", True),
        ("tags: Lab_Machine", True),
        ("tags: laboratory", False),
        ("severity: 4", True),
        ("severity: 5", False),
        ("severity: {at_most: 3}", False),
        ("severity: {at_least: 2, at_most: 4}", True),
        ("source: [siem, other]", True),
        ("source: other", False),
        ("playbook: c2", True),
        ("playbook: c", False),
        ("connection: firewall", True),
        ("connector: palo_alto", True),
        ("connector: firewall", False),
        ("known: true", True),
        ("known: false", False),
        ("target: {type: host}", True),
        ("target: {type: [user, address]}", False),
        ("effect: contain, connection: other", False),
    ],
)
def test_a_rule_fits_when_all_its_conditions_hold(condition: str, fits: bool) -> None:
    verdict = said(
        f"  - {{{condition}, deny: it fits}}",
        facts=Facts(tags=("lab-machine",)),
        source="siem",
        severity=4,
    )
    assert (verdict.outcome is Verdict.DENY) is fits


@pytest.mark.parametrize(
    ("target", "kind", "value", "fits"),
    [
        ("networks: [10.20.0.0/16]", "address", "::ffff:10.20.0.5", True),
        ("networks: [10.20.0.0/16]", "network", "10.20.3.0/24", True),
        ("networks: [10.20.0.0/16]", "address", "10.21.0.5", False),
        ("addresses: [10.20.0.5]", "url", "http://10.20.0.5/x", True),
        ("domains: [lab.example]", "domain", "A.Lab.Example.", True),
        ("domains: [lab.example]", "domain", "nolab.example", False),
        ("hosts: [ws-1]", "host", "WS-1.corp.example.", True),
        ("users: [j.doe]", "user", "CORP\\J.Doe", True),
        ("users: [j.doe]", "email", "j.doe@corp.example", True),
        ("type: user, hosts: [ws-1]", "host", "ws-1", False),
    ],
)
@pytest.mark.parametrize("verdict", ["allow: true", "deny: no"])
def test_a_target_is_found_in_every_spelling(
    target: str, kind: str, value: str, fits: bool, verdict: str
) -> None:
    rules = (
        f"  - {{name: it, target: {{{target}}}, {verdict}}}\n  - {{name: rest, approve: true}}\n"
    )
    assert (said(rules, change(kind, value)).rule == "it") is fits


def test_a_network_is_allowed_only_where_all_of_it_is_named_and_denied_where_any_is() -> None:
    wide, named = change("network", "10.20.0.0/16"), "{name: it, target: {networks: [10.20.3.0/24]}"
    assert (
        said(f"  - {named}, allow: true}}\n  - {{name: rest, approve: true}}\n", wide).rule
        == "rest"
    )
    assert said(f"  - {named}, deny: no}}\n", wide).rule == "it"


@pytest.mark.parametrize(
    ("named", "kind", "value"),
    [
        ("addresses: [8.0.0.5]", "host", "010.0.0.5"),  # to some it is 10.0.0.5
        ("addresses: [10.0.0.5]", "address", "64:ff9b::10.0.0.5"),
        ("networks: [10.0.0.0/24]", "network", "64:ff9b::10.0.0.0/120"),
        ("users: [j.doe]", "user", "j.doe+x@corp.example"),
    ],
)
def test_what_only_some_read_as_the_same_is_denied_with_it_and_not_allowed_with_it(
    named: str, kind: str, value: str
) -> None:
    wish, rest = change(kind, value), "  - {name: rest, approve: true}\n"
    assert said(f"  - {{name: it, target: {{{named}}}, allow: true}}\n{rest}", wish).rule == "rest"
    assert said(f"  - {{name: it, target: {{{named}}}, deny: no}}\n{rest}", wish).rule == "it"


def test_the_other_names_of_a_target_make_it_stricter_and_never_looser() -> None:
    facts = Facts(names=("0123", "lab-7"))
    wish = change("host", "0123")
    assert (
        said("  - {target: {hosts: [lab-7]}, allow: true}\n  - {deny: no}\n", wish, facts).verdict
        is Verdict.DENY
    )
    assert (
        said("  - {target: {hosts: [lab-7]}, deny: no}\n  - {allow: true}\n", wish, facts).verdict
        is Verdict.DENY
    )
    asked = "  - {target: {hosts: [lab-7]}, approve: true}\n  - {name: never, target: {hosts: ['0123']}, deny: no}\n"
    assert said(asked, wish, facts).rule == "never"


@pytest.mark.parametrize(
    ("at", "fits"),
    [
        ("2026-11-27T21:30Z", True),  # Friday 22:30 in Berlin
        ("2026-11-27T20:30Z", False),
        ("2026-11-28T04:59Z", True),  # Saturday 05:59, of Friday's night
        ("2026-11-28T05:00Z", False),
        ("2026-11-29T04:00Z", True),  # of Saturday's night
        ("2026-11-29T22:00Z", False),  # Sunday
        ("2026-11-27T04:00Z", False),  # Friday morning, of Thursday's night
        ("2026-07-03T20:30Z", True),  # 22:30 in summer
    ],
)
def test_a_span_over_midnight_belongs_to_the_day_on_which_it_began(at: str, fits: bool) -> None:
    verdict = said(f"  - {{time: {BERLIN_NIGHT}, deny: night}}\n", at=datetime.fromisoformat(at))
    assert (verdict.outcome is Verdict.DENY) is fits


@pytest.mark.parametrize(
    ("verdict", "fits"), [("allow: true", False), ("approve: true", True), ("deny: no", True)]
)
def test_an_unknown_time_allows_nothing(verdict: str, fits: bool) -> None:
    assert (said(f"  - {{name: it, time: {{days: [sun]}}, {verdict}}}\n").rule == "it") is fits


@pytest.mark.parametrize(
    ("effect", "facts", "rule", "verdict"),
    [
        (Effect.READ, Facts(critical=True), "default:reads", Verdict.ALLOW),
        (Effect.CONTAIN, Facts(tags=("critical",)), "default:critical", Verdict.ASK),
        (Effect.CONTAIN, Facts(critical=True, known=False), "default:critical", Verdict.ASK),
        (Effect.CONTAIN, Facts(known=False), "default:unknown", Verdict.ASK),
        (Effect.CONTAIN, Facts(), "default:rest", Verdict.ALLOW),
        (Effect.RESTORE, Facts(critical=True), "default:rest", Verdict.ALLOW),
        (Effect.NOTIFY, Facts(), "default:rest", Verdict.ALLOW),
        (Effect.DESTROY, Facts(), "default:destroy", Verdict.ASK),
    ],
)
def test_the_default_rules_close_the_list(
    effect: Effect, facts: Facts, rule: str, verdict: Verdict
) -> None:
    verdict = said("  - {action: other, deny: no}\n", change(effect=effect), facts)
    assert (verdict.rule, verdict.outcome) == (rule, verdict)


def test_no_written_rule_is_about_reads() -> None:
    assert (
        said("  - {connection: firewall, deny: no}\n", change(effect=Effect.READ)).verdict
        is Verdict.ALLOW
    )


def test_an_explanation_names_each_condition_that_failed_with_both_values() -> None:
    policy = parse_policy(
        "rules:\n  - {name: night, severity: 5, tags: lab, deny: no}\n  - {effect: contain, approve: true}\n"
    )
    found = explain(
        change(),
        InForce(4, policy.digest, policy),
        Facts(tags=("office",)),
        Context(playbook="c2", severity=3),
    )
    assert found.outcome.rule == "rule 2 (line 3)"
    assert [
        (each.name, each.wanted, each.found) for each in found.rules[0].conditions if not each.holds
    ] == [
        ("tags", "lab", "office"),
        ("severity", "5 to 6", "3"),
    ]
    assert [rule.name for rule in found.rules if rule.decides] == ["rule 2 (line 3)"]
    assert "    severity: wants 5 to 6; it is 3" in told(found)


def test_an_explanation_of_what_is_protected_names_no_deciding_rule() -> None:
    policy = parse_policy("protect: {hosts: [ws-1]}")
    found = explain(
        change(),
        InForce(4, policy.digest, policy),
        Facts(),
        Context(playbook="c2", at=datetime(2026, 1, 1, tzinfo=UTC)),
    )
    assert found.protections == ("host ws-1 is protected",)
    assert not any(rule.decides for rule in found.rules)
