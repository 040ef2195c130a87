"""Texts that are longer than an input takes: shortened for people, found by lint elsewhere."""

import pytest

from orchestrator.authoring.rehearsal.rehearse import rehearse
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.playbook.lint.rules import lint_playbook
from tests.harness.playbook_texts import CATALOGUE, FILE, compiled, with_steps

PLAYBOOK = """\
playbook: long-title
version: 1
title: Ticket
owner: soc
trigger:
  when: alert.class == 'phishing'
steps:
  - id: ticket
    use: tickets.open
    with: {title: "${{ alert.title }}", description: "${{ alert.title }}"}
    on_error: continue
"""
TESTS = f"""\
playbook: long-title
cases:
  - name: a long title still makes a ticket
    given: {{alert: {{class: phishing, severity: 3, title: "{"A" * 300}"}}}}
    expect: {{status: completed, applied: [tickets.open]}}
"""


async def test_long_title_still_makes_a_ticket() -> None:
    plan = compiled(PLAYBOOK).plan
    cases = read_tests(TESTS, "tests.yaml", plan)
    found = await rehearse(plan, cases, cases.cases[0], lambda _: b"")
    assert not found.differences


def _lengths(value: str) -> list[str]:
    text = with_steps(f"""
        - id: tell
          use: chat.post
          with: {{channel: "{value}", text: "${{{{ alert.title }}}}"}}
    """)
    findings = lint_playbook(text, FILE, CATALOGUE, lambda *_: None)
    return [finding.message for finding in findings if finding.rule == "text-too-long"]


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("${{ alert.title }}", "of up to 1024 characters"),
        ("soc-${{ alert.title | lower | truncate(77) }}", "of up to 81 characters"),
        ("${{ alert.title[:81] }}", "of up to 81 characters"),
        ("${{ alert.process.name | default('none') }}", "of any length"),
        ("${{ 'a' if alert.resolved else alert.title }}", "of up to 1024 characters"),
        ("${{ 'soc-' ~ alert.title[:77] }}", "of up to 81 characters"),
    ],
)
def test_lint_finds_a_text_that_can_be_too_long(value: str, size: str) -> None:
    assert _lengths(value) == [
        f"input 'channel' takes at most 80 characters, and can get a text {size}"
    ]


@pytest.mark.parametrize(
    "value",
    [
        "soc",
        "soc-${{ alert.title | truncate(76) }}",
        "${{ alert.title[:80] }}",
        "${{ alert.host.name | default('soc') }}",
    ],
)
def test_lint_is_silent_about_texts_that_fit(value: str) -> None:
    assert _lengths(value) == []
