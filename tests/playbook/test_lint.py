"""Each rule finds what its bad example shows, and nothing in its good one; a waiver takes away one finding, and has a reason."""

from __future__ import annotations

import pytest

import playbooks
from orchestrator.playbook.lint.finding import Finding, Rule
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


def found(text: str) -> list[Finding]:
    return list(lint_playbook(text, FILE, CATALOGUE, lambda _name, _version: None))


def told(steps: str, trigger: str | None = None) -> list[tuple[str, int]]:
    """Rule and line (within the steps) of what is found."""
    head = (
        HEAD.replace(
            "alert.class == 'c2_beacon' and alert.host is not none and alert.remote is not none",
            trigger,
        )
        if trigger
        else HEAD
    )
    return [(finding.rule, finding.line - HEAD.count("\n")) for finding in found(head + steps)]


def tell(text: str, more: str = "") -> str:
    return f'  - {{id: tell, {more}use: chat.post, with: {{channel: soc, text: "{text}"}}}}\n'


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_bad_example_of_a_rule_has_its_finding_and_the_good_one_none(rule: Rule) -> None:
    assert [finding.rule for finding in found(rule.bad)] == [rule.id]
    assert found(rule.good) == []


@pytest.mark.parametrize("name", playbooks.NAMES)
def test_a_shipped_playbook_has_no_finding(name: str) -> None:
    assert found(playbooks.folder(name).joinpath("playbook.yaml").read_text("utf-8")) == []


def test_a_finding_names_file_line_column_step_rule_and_mend() -> None:
    text = (
        HEAD + "  - id: block\n    use: firewall.block_address\n    with: {address: 198.51.100.7}\n"
    )
    (finding,) = found(text)
    assert str(finding) == (
        f"{FILE}:9:5: step block: firewall.block_address stays until somebody lifts it by hand [contain-without-for]; "
        "say how long it is needed: `for: 24h`"
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
def test_a_when_that_never_holds_is_found(when: str, line: int) -> None:
    assert told(tell("x", f'when: "{when}", ')) == [("unreachable-step", line)]


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
def test_a_when_that_may_hold_is_not_found(when: str) -> None:
    assert told(tell("x", f'when: "{when}", ')) == []


def test_a_branch_behind_one_that_is_always_taken_is_found() -> None:
    steps = """\
  - id: pick
    choose:
      - when: alert.severity >= 3
        steps: [{id: a, wait: 1s}]
      - when: alert.severity < 3
        steps: [{id: b, wait: 1s}]
      - otherwise: [{id: c, wait: 1s}]
"""
    assert told(steps.replace(" < 3", " == 2")) == []
    assert told(steps) == [("unreachable-step", 7)]
    assert told(steps.replace("alert.severity >= 3", "true")) == [("unreachable-step", 5)]
    assert told(steps.replace("alert.severity < 3", "alert.severity >= 3")) == [
        ("unreachable-step", 5)
    ]


def test_what_is_never_reached_is_told_once_and_not_linted_further() -> None:
    inner = "  - id: outer\n    when: false\n    parallel:\n      - {id: a, when: false, use: edr.isolate_host, with: {host: a}}\n"
    assert told(inner) == [("unreachable-step", 2)]


def test_an_approval_that_is_never_asked_for_is_found() -> None:
    assert told(BLOCK % "approve: {question: Sure?, when: false}, ") == [("unreachable-step", 1)]


def test_a_result_that_a_block_around_it_hands_on_is_used() -> None:
    look = "  - id: look\n    parallel:\n      - {id: verdict, use: reputation.lookup_address, with: {address: 198.51.100.7}}\n"
    assert told(look) == [("unused-result", 3)]
    assert told(look + tell("${{ steps.look | json }}")) == []
    assert told(look + tell("x ${{ steps.look.verdict.malicious }}")) == []
    loop = (
        "  - id: all\n    for_each: [198.51.100.7]\n    as: one\n    at_most: 1\n    steps:\n    "
        + READ
    )
    assert told(loop + tell("x ${{ steps.all.count }}")) == [("unused-result", 6)]
    assert told(loop + tell("${{ steps.all.items | json }}")) == []


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
    assert set(told(tell(text))) == {("can-be-undefined", 1)}


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
    assert told(tell(text)) == []


def test_the_when_of_a_step_its_blocks_and_of_the_steps_that_it_needs_guard_it() -> None:
    first = '  - {id: named, when: alert.host.name is not none, use: edr.find_host, with: {host: "${{ alert.host.name }}"}}\n'
    assert told(first + tell("${{ alert.host.name }}", "when: steps.named is not none, ")) == []
    assert told(first + tell("${{ steps.named.name }}")) == [("can-be-undefined", 2)]
    either = "when: alert.host.name is not none or alert.host.id is not none, "
    assert told(tell("${{ alert.host.name | default(alert.host.id) }}", either)) == []
    assert told(tell("${{ alert.host.name }}", either)) == [("can-be-undefined", 1)]
    assert told(tell("${{ alert.host.name }}", "when: not (alert.host.name is none), ")) == []


def test_a_default_that_does_not_pass_the_test_is_a_guard() -> None:
    read = READ.replace("with:", "on_error: continue, with:")
    assert (
        told(
            read
            + tell(
                "x ${{ steps.verdict.malicious }}",
                "when: steps.verdict.malicious | default(0) >= 5, ",
            )
        )
        == []
    )
    assert told(
        read
        + tell(
            "x ${{ steps.verdict.malicious }}", "when: steps.verdict.malicious | default(9) >= 5, "
        )
    ) == [("can-be-undefined", 2)]


def test_a_condition_over_what_can_be_null_is_found() -> None:
    assert told(tell("x", "when: alert.user.critical, ")) == [("can-be-undefined", 1)]
    assert told(tell("x", "when: alert.remote.port > 1024, ")) == [("can-be-undefined", 1)]
    assert (
        told(tell("x", "when: alert.remote.port is not none and alert.remote.port > 1024, ")) == []
    )


def test_an_approval_of_a_block_covers_what_is_destroyed_in_it_and_a_conditional_one_does_not() -> (
    None
):
    steps = "  - id: b\n    approve: {question: Sure?%s}\n    parallel:\n      - {id: end, use: identity.end_sessions, with: {user: a}}\n"
    assert told(steps % "") == []
    assert told(steps % ", when: alert.severity > 4") == [("destroy-without-approval", 4)]


def test_the_timeout_of_a_block_covers_what_is_slow_in_it() -> None:
    steps = "  - id: b\n    %sparallel:\n      - {id: cut, use: edr.isolate_host, with: {host: a}, for: 1h}\n"
    assert told(steps % "timeout: 5m\n    ") == []
    assert told(steps % "") == [("slow-without-timeout", 3)]


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
def test_a_containment_that_text_of_an_attacker_decides_is_found(when: str) -> None:
    assert told(BLOCK % f'when: "{when}", ') == [("hostile-text-decides", 1)]
    assert told(BLOCK % f'approve: {{question: Sure?}}, when: "{when}", ') == []
    assert told(tell("x", f'when: "{when}", ')) == []


@pytest.mark.parametrize(
    "when",
    [
        "alert.severity >= 5 and alert.title == 'C2'",
        "alert.file is not none",
        "alert.rule == '100200'",
    ],
)
def test_a_containment_that_more_than_hostile_text_decides_is_not_found(when: str) -> None:
    assert told(BLOCK % f'when: "{when}", ') == []


def test_text_of_an_attacker_may_not_spare_the_question_nor_trigger_alone() -> None:
    assert told(BLOCK % "approve: {question: Sure?, when: alert.title != 'known'}, ") == [
        ("hostile-text-decides", 1)
    ]
    assert told(BLOCK % "", trigger="alert.title == 'C2'") == [("hostile-text-decides", -1)]
    assert told(BLOCK % "", trigger="alert.title == 'C2' and alert.severity >= 4") == []


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
    assert told(tell("x"), trigger) == ([("trigger-fits-everything", -1)] if broad else [])


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
    (finding,) = found(HEAD + tell(f"see {secret}"))
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
    assert told(tell(text)) == []


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
def test_a_waiver_with_a_reason_takes_the_finding_away(steps: str) -> None:
    assert told(SLOW) == [("slow-without-timeout", 2)]
    assert told(steps) == []


def test_a_waiver_without_reason_waives_nothing() -> None:
    assert told(f"  {ALLOW}\n{SLOW}") == [(WITHOUT_REASON, 1), ("slow-without-timeout", 3)]
    assert told(f"  {ALLOW} because \n{SLOW}") == [(UNUSED, 1), ("slow-without-timeout", 3)]


def test_a_waiver_that_waives_nothing_is_a_finding() -> None:
    assert told(f"  {ALLOW} because I like it\n{tell('x')}") == [(UNUSED, 1)]
    assert told(f"{tell('x')}  {ALLOW} because it is elsewhere\n\n{SLOW}") == [
        (UNUSED, 2),
        ("slow-without-timeout", 5),
    ]
    (finding,) = found(
        f"{HEAD}  # tocsin: allow slow-without-timeouts because of a slip\n{tell('x')}"
    )
    assert finding.mend == "did you mean 'slow-without-timeout'?"


def test_a_waiver_inside_of_a_text_is_text() -> None:
    block = "  - id: tell\n    use: chat.post\n    with:\n      channel: soc\n      text: |-\n        x\n        %s because x\n"
    assert told(block % ALLOW) == []
    assert told(tell(f"x {ALLOW} because x")) == []
    assert told((block % "y").replace("|-", f"|-  {ALLOW} because x")) == [(UNUSED, 5)]


def test_a_waiver_does_not_change_the_digest() -> None:
    plain = compiled(HEAD + SLOW).plan.digest
    assert compiled(f"{HEAD}  {ALLOW} because the lab has no agent\n{SLOW}").plan.digest == plain


def test_a_condition_of_many_parts_is_linted_in_bounded_time() -> None:
    when = " and ".join(
        f"(alert.title == 'a{index}' or alert.host.name == 'b{index}')" for index in range(20)
    )
    assert told(tell("x", f'when: "{when}", ')) in ([], [("unreachable-step", 1)])
