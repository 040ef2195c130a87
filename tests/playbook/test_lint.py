"""Lint rules and waivers: a rule finds its bad example and nothing in its good one."""

from __future__ import annotations

import pytest

import playbooks
from orchestrator.playbook.lint.rule import LintFinding, LintRule
from orchestrator.playbook.lint.rules import RULES, lint_playbook
from orchestrator.playbook.lint.waivers import UNUSED, WITHOUT_REASON
from tests.harness.playbook_texts import CATALOGUE, FILE, compiled

HEAD = """\
playbook: x
version: 1
title: X
owner: soc
trigger:
  when: alert.class == 'c2_beacon' and alert.host is not none and alert.remote is not none
steps:
"""
READ = "  - {id: verdict, use: reputation.lookup_address, with: {address: 198.51.100.7}}\n"
BLOCK = "  - {id: block, %suse: firewall.block_address, with: {address: 198.51.100.7}, for: 1h}\n"


def lint(text: str) -> list[LintFinding]:
    return list(lint_playbook(text, FILE, CATALOGUE, lambda _name, _version: None))


def findings_of(steps: str, trigger: str | None = None) -> list[tuple[str, int]]:
    """Return the rule of each finding and its line within the steps."""
    head = (
        HEAD.replace(
            "alert.class == 'c2_beacon' and alert.host is not none and alert.remote is not none",
            trigger,
        )
        if trigger
        else HEAD
    )
    return [(finding.rule, finding.line - HEAD.count("\n")) for finding in lint(head + steps)]


def tell(text: str, more: str = "") -> str:
    return f'  - {{id: tell, {more}use: chat.post, with: {{channel: soc, text: "{text}"}}}}\n'


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_bad_example_of_a_rule_has_its_finding_and_the_good_one_none(rule: LintRule) -> None:
    assert [finding.rule for finding in lint(rule.bad)] == [rule.id]
    assert lint(rule.good) == []


@pytest.mark.parametrize("name", playbooks.NAMES)
def test_a_shipped_playbook_has_no_finding(name: str) -> None:
    assert lint(playbooks.folder(name).joinpath("playbook.yaml").read_text("utf-8")) == []


def test_finding_names_file_line_column_step_rule_and_fix() -> None:
    text = (
        HEAD + "  - id: block\n    use: firewall.block_address\n    with: {address: 198.51.100.7}\n"
    )
    (finding,) = lint(text)
    assert str(finding) == (
        f"{FILE}:9:5: step block: firewall.block_address has no end and must be lifted by hand "
        "[contain-without-for]; add a duration: `for: 24h`"
    )


@pytest.mark.parametrize(
    ("when", "line"),
    [
        ("false", 1),
        ("1 > 2", 1),
        ("alert.class == 'malware'", 1),
        ("alert.host is none", 1),
        ("alert.severity > 4 and alert.severity < 3", 1),
        ("alert.title is none", 1),
        ("alert.class in ['malware', 'other']", 1),
    ],
)
def test_when_that_is_never_true_is_found(when: str, line: int) -> None:
    assert findings_of(tell("x", f'when: "{when}", ')) == [("unreachable-step", line)]


@pytest.mark.parametrize(
    "when",
    [
        "true",
        "alert.severity > 4",
        "alert.class != 'malware'",
        "alert.host.name is none",
        "alert.severity in [4, 5]",
    ],
)
def test_when_that_can_be_true_is_not_found(when: str) -> None:
    assert findings_of(tell("x", f'when: "{when}", ')) == []


def test_branch_after_one_that_is_always_taken_is_found() -> None:
    steps = """\
  - id: pick
    choose:
      - when: alert.severity >= 3
        steps: [{id: a, wait: 1s}]
      - when: alert.severity < 3
        steps: [{id: b, wait: 1s}]
      - otherwise: [{id: c, wait: 1s}]
"""
    assert findings_of(steps.replace(" < 3", " == 2")) == []
    assert findings_of(steps) == [("unreachable-step", 7)]
    assert findings_of(steps.replace("alert.severity >= 3", "true")) == [("unreachable-step", 5)]
    assert findings_of(steps.replace("alert.severity < 3", "alert.severity >= 3")) == [
        ("unreachable-step", 5)
    ]


def test_unreachable_step_is_reported_once_and_not_linted_further() -> None:
    inner = "  - id: outer\n    when: false\n    parallel:\n      - {id: a, when: false, use: edr.isolate_host, with: {host: a}}\n"
    assert findings_of(inner) == [("unreachable-step", 2)]


def test_approval_that_is_never_asked_for_is_found() -> None:
    assert findings_of(BLOCK % "approve: {question: Sure?, when: false}, ") == [
        ("unreachable-step", 1)
    ]


def test_result_is_used_through_the_block_around_it() -> None:
    look = "  - id: look\n    parallel:\n      - {id: verdict, use: reputation.lookup_address, with: {address: 198.51.100.7}}\n"
    assert findings_of(look) == [("unused-result", 3)]
    assert findings_of(look + tell("${{ steps.look | json }}")) == []
    assert findings_of(look + tell("x ${{ steps.look.verdict.malicious }}")) == []
    loop = (
        "  - id: all\n    for_each: [198.51.100.7]\n    as: one\n    at_most: 1\n    steps:\n    "
        + READ
    )
    assert findings_of(loop + tell("x ${{ steps.all.count }}")) == [("unused-result", 6)]
    assert findings_of(loop + tell("${{ steps.all.items | json }}")) == []


@pytest.mark.parametrize(
    "text",
    [
        "${{ alert.host.name }}",
        "x ${{ alert.user.critical }}",
        "a ${{ alert.file.name | upper }}",
        "${{ alert.host.name | default(alert.user.name) }}",
        "${{ 'a' if alert.user.critical else 'b' }}",
        "${{ alert.observables[0].value }}",
        "${{ alert.techniques | first }}",
    ],
)
def test_an_expression_that_can_be_undefined_is_found(text: str) -> None:
    assert set(findings_of(tell(text))) == {("can-be-undefined", 1)}


@pytest.mark.parametrize(
    "text",
    [
        "${{ alert.host.name | default('?') }}",
        "x ${{ alert.user.critical | default(false) }}",
        "${{ alert.user.name if alert.user is not none and alert.user.name is not none else '?' }}",
        "${{ alert.observables[0].value if alert.observables | length > 0 else '?' }}",
        "${{ alert.techniques | first | default('none') }}",
        "${{ alert.user.name | default(alert.host.name) | default('?') }}",
        "${{ alert.user | json }}",
    ],
)
def test_an_expression_that_is_guarded_is_not_found(text: str) -> None:
    assert findings_of(tell(text)) == []


def test_step_is_guarded_by_its_when_its_blocks_and_the_steps_that_it_needs() -> None:
    first = '  - {id: named, when: alert.host.name is not none, use: edr.find_host, with: {host: "${{ alert.host.name }}"}}\n'
    assert (
        findings_of(first + tell("${{ alert.host.name }}", "when: steps.named is not none, ")) == []
    )
    assert findings_of(first + tell("${{ steps.named.name }}")) == [("can-be-undefined", 2)]
    either = "when: alert.host.name is not none or alert.host.id is not none, "
    assert findings_of(tell("${{ alert.host.name | default(alert.host.id) }}", either)) == []
    assert findings_of(tell("${{ alert.host.name }}", either)) == [("can-be-undefined", 1)]
    assert (
        findings_of(tell("${{ alert.host.name }}", "when: not (alert.host.name is none), ")) == []
    )


def test_default_that_fails_the_condition_is_a_guard() -> None:
    read = READ.replace("with:", "on_error: continue, with:")
    assert (
        findings_of(
            read
            + tell(
                "x ${{ steps.verdict.malicious }}",
                "when: steps.verdict.malicious | default(0) >= 5, ",
            )
        )
        == []
    )
    assert findings_of(
        read
        + tell(
            "x ${{ steps.verdict.malicious }}", "when: steps.verdict.malicious | default(9) >= 5, "
        )
    ) == [("can-be-undefined", 2)]


def test_condition_over_a_nullable_value_is_found() -> None:
    assert findings_of(tell("x", "when: alert.user.critical, ")) == [("can-be-undefined", 1)]
    assert findings_of(tell("x", "when: alert.remote.port > 1024, ")) == [("can-be-undefined", 1)]
    assert (
        findings_of(tell("x", "when: alert.remote.port is not none and alert.remote.port > 1024, "))
        == []
    )


def test_an_approval_of_a_block_covers_what_is_destroyed_in_it_and_a_conditional_one_does_not() -> (
    None
):
    steps = "  - id: b\n    approve: {question: Sure?%s}\n    parallel:\n      - {id: end, use: identity.end_sessions, with: {user: a}}\n"
    assert findings_of(steps % "") == []
    assert findings_of(steps % ", when: alert.severity > 4") == [("destroy-without-approval", 4)]


def test_the_timeout_of_a_block_covers_what_is_slow_in_it() -> None:
    steps = "  - id: b\n    %sparallel:\n      - {id: cut, use: edr.isolate_host, with: {host: a}, for: 1h}\n"
    assert findings_of(steps % "timeout: 5m\n    ") == []
    assert findings_of(steps % "") == [("slow-without-timeout", 3)]


@pytest.mark.parametrize(
    "when",
    [
        "alert.title | contains('beacon')",
        "alert.process is not none and alert.process.command_line is not none and alert.process.command_line | contains('-enc')",
        "not (alert.title | contains('test'))",
        "alert.severity >= 5 or alert.title == 'C2'",
        "alert.remote.domain == 'evil.example'",
    ],
)
def test_containment_that_depends_only_on_untrusted_text_is_found(when: str) -> None:
    assert findings_of(BLOCK % f'when: "{when}", ') == [("hostile-text-decides", 1)]
    assert findings_of(BLOCK % f'approve: {{question: Sure?}}, when: "{when}", ') == []
    assert findings_of(tell("x", f'when: "{when}", ')) == []


@pytest.mark.parametrize(
    "when",
    [
        "alert.severity >= 5 and alert.title == 'C2'",
        "alert.file is not none",
        "alert.rule == '100200'",
    ],
)
def test_containment_that_depends_on_more_than_untrusted_text_is_not_found(when: str) -> None:
    assert findings_of(BLOCK % f'when: "{when}", ') == []


def test_untrusted_text_neither_avoids_the_approval_nor_triggers_alone() -> None:
    assert findings_of(BLOCK % "approve: {question: Sure?, when: alert.title != 'known'}, ") == [
        ("hostile-text-decides", 1)
    ]
    assert findings_of(BLOCK % "", trigger="alert.title == 'C2'") == [("hostile-text-decides", -1)]
    assert findings_of(BLOCK % "", trigger="alert.title == 'C2' and alert.severity >= 4") == []


@pytest.mark.parametrize(
    ("trigger", "broad"),
    [
        ("true", True),
        ("alert.severity >= 4", True),
        ("alert.host is not none or alert.class == 'malware'", True),
        ("alert.class != 'policy_violation'", True),
        ("not alert.resolved and alert.techniques | contains('T1071')", False),
        ("alert.class in ['malware', 'c2_beacon'] and alert.severity >= 2", False),
        ("not (alert.class != 'malware')", False),
    ],
)
def test_a_trigger_that_names_no_kind_of_alert_is_found(trigger: str, broad: bool) -> None:
    assert findings_of(tell("x"), trigger) == ([("trigger-fits-everything", -1)] if broad else [])


@pytest.mark.parametrize(
    "secret",
    [
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1B2" * 9,
        "xoxb-" + "123456789012-abcdef",
        "https://bob:" + "hunter22@firewall.example",
        "Bearer " + "abcdefghijklmnop1234",
        "kJ8sPq2LmX9vZt4RwYb6NcD3",
    ],
)
def test_text_that_looks_like_a_secret_is_found_and_not_repeated(secret: str) -> None:
    (finding,) = lint(HEAD + tell(f"see {secret}"))
    assert finding.rule == "secret-literal"
    assert secret not in str(finding)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 64,
        "550e8400-e29b-41d4-a716-446655440000",
        "the password of ${{ alert.title }} is old",
        "e3b0c442" * 8,
    ],
)
def test_hashes_ids_and_talk_of_passwords_are_no_secrets(text: str) -> None:
    assert findings_of(tell(text)) == []


SLOW = "  - id: cut\n    use: edr.isolate_host\n    with: {host: a}\n    for: 1h\n"
ALLOW = "# tocsin: allow slow-without-timeout"


@pytest.mark.parametrize(
    "steps",
    [
        f"  {ALLOW} because the lab has no agent\n{SLOW}",
        SLOW.replace("cut\n", f"cut  {ALLOW} because the lab has no agent\n"),
        SLOW.replace("host\n", f"host  {ALLOW} because the lab has no agent\n"),
        f"  {ALLOW} because the lab has no agent\n  # and another remark\n{SLOW}",
    ],
)
def test_waiver_with_a_reason_removes_the_finding(steps: str) -> None:
    assert findings_of(SLOW) == [("slow-without-timeout", 2)]
    assert findings_of(steps) == []


def test_a_waiver_without_reason_waives_nothing() -> None:
    assert findings_of(f"  {ALLOW}\n{SLOW}") == [(WITHOUT_REASON, 1), ("slow-without-timeout", 3)]
    assert findings_of(f"  {ALLOW} because \n{SLOW}") == [(UNUSED, 1), ("slow-without-timeout", 3)]


def test_a_waiver_that_waives_nothing_is_a_finding() -> None:
    assert findings_of(f"  {ALLOW} because I like it\n{tell('x')}") == [(UNUSED, 1)]
    assert findings_of(f"{tell('x')}  {ALLOW} because it is elsewhere\n\n{SLOW}") == [
        (UNUSED, 2),
        ("slow-without-timeout", 5),
    ]
    (finding,) = lint(
        f"{HEAD}  # tocsin: allow slow-without-timeouts because of a typo\n{tell('x')}"
    )
    assert finding.fix == "did you mean 'slow-without-timeout'?"


def test_a_waiver_inside_of_a_text_is_text() -> None:
    block = "  - id: tell\n    use: chat.post\n    with:\n      channel: soc\n      text: |-\n        x\n        %s because x\n"
    assert findings_of(block % ALLOW) == []
    assert findings_of(tell(f"x {ALLOW} because x")) == []
    assert findings_of((block % "y").replace("|-", f"|-  {ALLOW} because x")) == [(UNUSED, 5)]


def test_a_waiver_does_not_change_the_digest() -> None:
    plain = compiled(HEAD + SLOW).plan.digest
    assert compiled(f"{HEAD}  {ALLOW} because the lab has no agent\n{SLOW}").plan.digest == plain


def test_a_condition_of_many_parts_is_linted_in_bounded_time() -> None:
    when = " and ".join(
        f"(alert.title == 'a{index}' or alert.host.name == 'b{index}')" for index in range(20)
    )
    assert findings_of(tell("x", f'when: "{when}", ')) in ([], [("unreachable-step", 1)])
