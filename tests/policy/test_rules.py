"""Rules: the first match decides, in every spelling of a target, and default rules are last."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.policy.document import parse_policy
from orchestrator.policy.evaluate import ChangeContext, ChangeFacts, PolicyInForce, evaluate
from orchestrator.policy.explain import explain, render_text

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


def evaluated(
    rules: str, planned: Change | None = None, facts: ChangeFacts | None = None, **context: Any
) -> PolicyVerdict:
    policy = parse_policy("rules:\n" + rules)
    return evaluate(
        planned or change(),
        PolicyInForce(1, policy.digest, policy),
        facts or ChangeFacts(),
        ChangeContext(**{"playbook": "c2", **context}),
    )


def test_the_first_matching_rule_decides() -> None:
    rules = "  - {effect: contain, approve: {by: leads, quorum: 2}}\n  - {name: never, effect: contain, deny: no}\n"
    verdict = evaluated(rules)
    assert (verdict.outcome, verdict.by, verdict.quorum) == (Verdict.ASK, "leads", 2)
    assert verdict.rule == "rule 1 (line 2)"
    assert evaluated("  - {name: never, effect: contain, deny: not here}\n" + rules).reasons == (
        "never of the policy denies it: not here",
    )


@pytest.mark.parametrize(
    ("condition", "matches"),
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
def test_a_rule_matches_when_all_its_conditions_hold(condition: str, matches: bool) -> None:
    verdict = evaluated(
        f"  - {{{condition}, deny: it matches}}",
        facts=ChangeFacts(tags=("lab-machine",)),
        source="siem",
        severity=4,
    )
    assert (verdict.outcome is Verdict.DENY) is matches


@pytest.mark.parametrize(
    ("target", "kind", "value", "matches"),
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
def test_a_target_matches_in_every_spelling(
    target: str, kind: str, value: str, matches: bool, verdict: str
) -> None:
    rules = (
        f"  - {{name: it, target: {{{target}}}, {verdict}}}\n  - {{name: rest, approve: true}}\n"
    )
    assert (evaluated(rules, change(kind, value)).rule == "it") is matches


def test_a_network_is_allowed_if_contained_and_denied_if_overlapping() -> None:
    wide, named = change("network", "10.20.0.0/16"), "{name: it, target: {networks: [10.20.3.0/24]}"
    assert (
        evaluated(f"  - {named}, allow: true}}\n  - {{name: rest, approve: true}}\n", wide).rule
        == "rest"
    )
    assert evaluated(f"  - {named}, deny: no}}\n", wide).rule == "it"


@pytest.mark.parametrize(
    ("named", "kind", "value"),
    [
        ("addresses: [8.0.0.5]", "host", "010.0.0.5"),  # to some it is 10.0.0.5
        ("addresses: [10.0.0.5]", "address", "64:ff9b::10.0.0.5"),
        ("networks: [10.0.0.0/24]", "network", "64:ff9b::10.0.0.0/120"),
        ("users: [j.doe]", "user", "j.doe+x@corp.example"),
    ],
)
def test_an_ambiguous_spelling_is_denied_but_not_allowed(named: str, kind: str, value: str) -> None:
    planned, rest = change(kind, value), "  - {name: rest, approve: true}\n"
    assert (
        evaluated(f"  - {{name: it, target: {{{named}}}, allow: true}}\n{rest}", planned).rule
        == "rest"
    )
    assert (
        evaluated(f"  - {{name: it, target: {{{named}}}, deny: no}}\n{rest}", planned).rule == "it"
    )


def test_other_names_of_a_target_make_a_verdict_only_stricter() -> None:
    facts = ChangeFacts(names=("0123", "lab-7"))
    planned = change("host", "0123")
    assert (
        evaluated(
            "  - {target: {hosts: [lab-7]}, allow: true}\n  - {deny: no}\n", planned, facts
        ).outcome
        is Verdict.DENY
    )
    assert (
        evaluated(
            "  - {target: {hosts: [lab-7]}, deny: no}\n  - {allow: true}\n", planned, facts
        ).outcome
        is Verdict.DENY
    )
    asked = "  - {target: {hosts: [lab-7]}, approve: true}\n  - {name: never, target: {hosts: ['0123']}, deny: no}\n"
    assert evaluated(asked, planned, facts).rule == "never"


@pytest.mark.parametrize(
    ("at", "matches"),
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
def test_a_span_over_midnight_belongs_to_the_day_on_which_it_begins(at: str, matches: bool) -> None:
    verdict = evaluated(
        f"  - {{time: {BERLIN_NIGHT}, deny: night}}\n", at=datetime.fromisoformat(at)
    )
    assert (verdict.outcome is Verdict.DENY) is matches


@pytest.mark.parametrize(
    ("verdict", "matches"), [("allow: true", False), ("approve: true", True), ("deny: no", True)]
)
def test_an_unknown_time_never_allows(verdict: str, matches: bool) -> None:
    assert (
        evaluated(f"  - {{name: it, time: {{days: [sun]}}, {verdict}}}\n").rule == "it"
    ) is matches


@pytest.mark.parametrize(
    ("effect", "facts", "rule", "expected"),
    [
        (Effect.READ, ChangeFacts(critical=True), "default:reads", Verdict.ALLOW),
        (Effect.CONTAIN, ChangeFacts(tags=("critical",)), "default:critical", Verdict.ASK),
        (Effect.CONTAIN, ChangeFacts(critical=True, known=False), "default:critical", Verdict.ASK),
        (Effect.CONTAIN, ChangeFacts(known=False), "default:unknown", Verdict.ASK),
        (Effect.CONTAIN, ChangeFacts(), "default:rest", Verdict.ALLOW),
        (Effect.RESTORE, ChangeFacts(critical=True), "default:rest", Verdict.ALLOW),
        (Effect.NOTIFY, ChangeFacts(), "default:rest", Verdict.ALLOW),
        (Effect.DESTROY, ChangeFacts(), "default:destroy", Verdict.ASK),
    ],
)
def test_the_default_rules_are_last(
    effect: Effect, facts: ChangeFacts, rule: str, expected: Verdict
) -> None:
    verdict = evaluated("  - {action: other, deny: no}\n", change(effect=effect), facts)
    assert (verdict.rule, verdict.outcome) == (rule, expected)


def test_written_rules_do_not_apply_to_reads() -> None:
    assert (
        evaluated("  - {connection: firewall, deny: no}\n", change(effect=Effect.READ)).outcome
        is Verdict.ALLOW
    )


def test_an_explanation_shows_each_failed_condition_with_both_values() -> None:
    policy = parse_policy(
        "rules:\n  - {name: night, severity: 5, tags: lab, deny: no}\n  - {effect: contain, approve: true}\n"
    )
    found = explain(
        change(),
        PolicyInForce(4, policy.digest, policy),
        ChangeFacts(tags=("office",)),
        ChangeContext(playbook="c2", severity=3),
    )
    assert found.verdict.rule == "rule 2 (line 3)"
    assert [
        (each.name, each.expected, each.found)
        for each in found.rules[0].conditions
        if not each.holds
    ] == [
        ("tags", "lab", "office"),
        ("severity", "5 to 6", "3"),
    ]
    assert [rule.name for rule in found.rules if rule.decides] == ["rule 2 (line 3)"]
    assert "    severity: expected 5 to 6; found 3" in render_text(found)


def test_a_protection_leaves_no_deciding_rule() -> None:
    policy = parse_policy("protect: {hosts: [ws-1]}")
    found = explain(
        change(),
        PolicyInForce(4, policy.digest, policy),
        ChangeFacts(),
        ChangeContext(playbook="c2", at=datetime(2026, 1, 1, tzinfo=UTC)),
    )
    assert found.protections == ("host ws-1 is protected",)
    assert not any(rule.decides for rule in found.rules)
