"""Is what is most likely a mistake told, with both lines, and what is as it should be left alone?"""

from __future__ import annotations

import pytest

from orchestrator.policy.document import DEFAULT_POLICY, parse_policy
from orchestrator.policy.lint import warnings


def warned(*rules: str) -> tuple[str, ...]:
    return warnings(
        parse_policy("rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)),
        ("vip",),
        "p.yaml",
    )


def test_an_unknown_tag_is_told_with_the_nearest_known_one() -> None:
    assert warned("tags: critcal, deny: no") == (
        "p.yaml:2: unknown tag 'critcal'; did you mean 'critical'?",
    )
    assert warned("tags: [vip, Domain_Controller], deny: no") == ()


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
def test_a_rule_that_never_decides_is_told_with_both_lines(rules: tuple[str, str]) -> None:
    (line,) = warned(*rules)
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
def test_rules_that_contradict_each_other_are_told_with_both_lines(rules: tuple[str, str]) -> None:
    (line,) = warned(*rules)
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
def test_an_exception_and_what_cannot_meet_are_left_alone(rules: tuple[str, str]) -> None:
    assert warned(*rules) == ()


def test_the_policy_of_a_first_start_has_nothing_to_look_at() -> None:
    assert warnings(parse_policy(DEFAULT_POLICY)) == ()
