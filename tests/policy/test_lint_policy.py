"""Policy lint: likely mistakes are reported with both lines, and exceptions are not."""

from __future__ import annotations

import pytest

from orchestrator.policy.document import DEFAULT_POLICY, parse_policy
from orchestrator.policy.lint import lint_policy


def warnings_of(*rules: str) -> tuple[str, ...]:
    return lint_policy(
        parse_policy("rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)),
        ("vip",),
        "p.yaml",
    )


def test_an_unknown_tag_is_reported_with_the_nearest_known_one() -> None:
    assert warnings_of("tags: critcal, deny: no") == (
        "p.yaml:2: unknown tag 'critcal'; did you mean 'critical'?",
    )
    assert warnings_of("tags: [vip, Domain_Controller], deny: no") == ()


@pytest.mark.parametrize(
    "rules",
    [
        ("effect: contain, approve: true", "effect: contain, tags: vip, deny: no"),
        ("allow: true", "action: a.b, deny: no"),
        ("severity: 3, deny: no", "severity: {at_least: 4, at_most: 5}, allow: true"),
        (
            "target: {networks: [10.0.0.0/8]}, deny: no",
            "target: {networks: [10.1.0.0/16]}, allow: true",
        ),
        (
            "target: {domains: [corp.example]}, deny: no",
            "target: {domains: [a.corp.example]}, deny: no",
        ),
    ],
)
def test_a_rule_that_never_decides_is_reported_with_both_lines(rules: tuple[str, str]) -> None:
    (line,) = warnings_of(*rules)
    assert line.startswith("p.yaml:3: rule 2 (line 3) never decides: rule 1 (line 2)")


@pytest.mark.parametrize(
    "rules",
    [
        ("action: [a.b, c.d], deny: no", "action: [c.d, e.f], allow: true"),
        ("target: {networks: [10.0.0.0/8]}, allow: true", "tags: vip, deny: no"),
        ("tags: vip, allow: true", "effect: contain, source: siem, approve: true"),
        (
            "target: {networks: [10.30.0.0/16]}, allow: true",
            "target: {addresses: [10.30.5.7]}, deny: no",
        ),
        (
            "target: {addresses: [10.30.5.7]}, allow: true",
            "target: {networks: [10.30.0.0/16]}, deny: no",
        ),
        (
            "target: {hosts: [dc-01]}, allow: true",
            "target: {hosts: [dc-01.corp.example]}, deny: no",
        ),
        (
            "target: {users: ['CORP\\root']}, allow: true",
            "target: {users: [root@corp.example]}, deny: no",
        ),
    ],
)
def test_contradicting_rules_are_reported_with_both_lines(rules: tuple[str, str]) -> None:
    (line,) = warnings_of(*rules)
    assert line.startswith("p.yaml:3: rule 2 (line 3), ")
    assert "rule 1 (line 2), " in line
    assert line.endswith("line 2 decides")


@pytest.mark.parametrize(
    "rules",
    [
        ("effect: contain, tags: vip, approve: true", "effect: contain, allow: true"),
        ("tags: vip, allow: true", "deny: all else"),
        ("severity: {at_most: 2}, allow: true", "severity: 3, deny: no"),
        ("target: {type: host}, allow: true", "target: {type: user}, deny: no"),
        (
            "target: {networks: [10.1.0.0/16]}, allow: true",
            "target: {networks: [10.2.0.0/16]}, deny: no",
        ),
    ],
)
def test_exceptions_and_disjoint_rules_are_not_reported(rules: tuple[str, str]) -> None:
    assert warnings_of(*rules) == ()


def test_the_default_policy_has_no_warnings() -> None:
    assert lint_policy(parse_policy(DEFAULT_POLICY)) == ()
