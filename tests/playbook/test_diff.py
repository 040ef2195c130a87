"""The diff of two playbooks: each change once, by meaning, most dangerous first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.playbook.diff.model import Danger, render_markdown, render_text
from orchestrator.playbook.diff.plans import diff_plans
from tests.harness.playbook_texts import compiled

BASE = """\
playbook: x
version: 1
title: X
owner: soc
trigger: {when: alert.class == 'malware' and alert.severity >= 4, once_per: "${{ alert.id }}", within: 4h}
limits: {hosts_per_run: 1}
steps:
  - id: verdict
    use: reputation.lookup_address
    with: {address: 198.51.100.7}
  - id: contain
    approve: {question: Sure?, quorum: 2, by: leads, within: 15m, when: alert.severity < 6}
    parallel:
      - id: block
        when: steps.verdict.malicious >= 5
        use: firewall.block_address
        with: {address: 198.51.100.7}
        for: 24h
      - {id: pause, wait: 1s}
  - id: many
    for_each: [198.51.100.8]
    as: one
    at_most: 5
    steps:
      - {id: also, use: firewall.block_address, with: {address: "${{ one }}"}, for: 1h}
  - {id: tell, use: chat.post, with: {channel: soc, text: Done}, timeout: 1m}
on_failure: roll_back
"""

CASES = [
    ("quorum: 2", "quorum: 1", Danger.GRAVE, "step contain now needs 1 approval, not 2"),
    ("quorum: 2", "quorum: 3", Danger.SAFER, "step contain now needs 3 approvals, not 2"),
    ("by: leads, ", "", Danger.GRAVE, "step contain is now approved by anyone with the permission, not by `leads`"),
    (", when: alert.severity < 6}", "}", Danger.SAFER, "step contain now always asks for approval, not only when `alert.severity < 6`"),
    ("alert.severity < 6", "alert.severity < 5", Danger.GRAVE, "step contain asks for approval less often: when `alert.severity < 5`, not when `alert.severity < 6`"),
    ("by: leads,", "by: leads, otherwise: escalate, escalate_to: all,", Danger.WIDER, "step contain now asks `all` when no one answers"),
    ("within: 15m", "within: 1h", Danger.CHANGED, "step contain now waits 1h for an answer, not 15m"),
    ("question: Sure?", "question: Go?", Danger.CHANGED, "step contain now asks `Go?`, not `Sure?`"),
    ("        for: 24h\n", "", Danger.GRAVE, "step block now lasts until it is lifted by hand, not 24h"),
    ("for: 24h", "for: 2h", Danger.SAFER, "step block lasts shorter: 2h, not 24h"),
    ("        when: steps.verdict.malicious >= 5\n", "", Danger.GRAVE, "step block now always runs, not only when `steps.verdict.malicious >= 5`"),
    ("malicious >= 5", "malicious >= 4", Danger.WIDER, "step block runs more often: when `steps.verdict.malicious >= 4`, not when `steps.verdict.malicious >= 5`"),
    ("at_most: 5", "at_most: 9", Danger.WIDER, "step many now runs at most 9 times, not 5"),
    ("for_each: [198.51.100.8]", "for_each: [198.51.100.9]", Danger.WIDER, "step many now runs for `['198.51.100.9']`, not `['198.51.100.8']`"),
    ("and alert.severity >= 4", "", Danger.WIDER, "starts more often: when `alert.class == 'malware'`, not when `alert.class == 'malware' and alert.severity >= 4`"),
    ("within: 4h", "within: 1h", Danger.WIDER, "alerts with the same name start a new run sooner: after 1h, not 4h"),
    ("${{ alert.id }}", "${{ alert.title }}", Danger.WIDER, "now runs once per `${{ alert.title }}`, not once per `${{ alert.id }}`"),
    ("hosts_per_run: 1", "hosts_per_run: 2", Danger.WIDER, "the limit of hosts per run is raised from 1 to 2"),
    ("limits: {hosts_per_run: 1}\n", "", Danger.GRAVE, "the limit of hosts per run was removed; it was 1"),
    ("on_failure: roll_back", "on_failure: stop", Danger.GRAVE, "no longer rolls back its changes after a failure: stop"),
    ("timeout: 1m", "timeout: 2m", Danger.CHANGED, "step tell may now take 2m, not 1m"),
    ("text: Done", "text: Over", Danger.CHANGED, "step tell has another text: `Over`, not `Done`"),
    ("title: X", "title: Y", Danger.WORDS, "title is now `Y`, not `X`"),
    ("timeout: 1m", "timeout: 1m, retry: {attempts: 9}", Danger.CHANGED, "step tell now has retry `attempts=9 wait=1`, not `None`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "danger", "sentence"), CASES, ids=[case[3][:60] for case in CASES]
)
def test_change_is_reported_once_with_its_danger(
    old: str, new: str, danger: Danger, sentence: str
) -> None:
    assert BASE.count(old) == 1
    found = diff_plans(compiled(BASE).plan, compiled(BASE.replace(old, new)).plan)
    assert [(change.danger, change.sentence) for change in found.changes] == [(danger, sentence)]


def test_new_effect_is_reported_first() -> None:
    more = BASE.replace(
        "on_failure", "  - {id: isolate, use: edr.isolate_host, with: {host: a}}\non_failure"
    ).replace("title: X", "title: Y")
    found = diff_plans(compiled(BASE).plan, compiled(more).plan)
    assert [change.sentence for change in found.changes] == [
        "can now isolate hosts (edr.isolate_host, step isolate)",
        "step isolate is new: edr.isolate_host",
        "title is now `Y`, not `X`",
    ]
    back = diff_plans(compiled(more).plan, compiled(BASE).plan)
    assert "can no longer isolate hosts (edr.isolate_host, was step isolate)" in [
        change.sentence for change in back.changes
    ]


def test_step_that_leaves_an_approved_block_is_grave() -> None:
    block = BASE[BASE.index("      - id: block") : BASE.index("      - {id: pause")]
    out = "".join(line[4:] + "\n" for line in block.splitlines())
    kept = (
        "      - {id: stay, use: firewall.block_address, with: {address: 198.51.100.6}, for: 1h}\n"
    )
    base = BASE.replace("      - {id: pause", f"{kept}      - {{id: pause")
    moved = base.replace(block, "").replace("  - id: many", f"{out}  - id: many")
    (first, *_) = diff_plans(compiled(base).plan, compiled(moved).plan).changes
    assert (first.danger, first.sentence) == (
        Danger.GRAVE,
        "step block is no longer covered by the approval of contain",
    )


def test_moved_step_is_reported_and_those_that_it_passes_are_not() -> None:
    tell = BASE[BASE.index("  - {id: tell") : BASE.index("on_failure")]
    moved = BASE.replace(tell, "").replace("  - id: verdict", f"{tell}  - id: verdict")
    found = diff_plans(compiled(BASE).plan, compiled(moved).plan)
    assert [change.sentence for change in found.changes] == ["step tell moved: it now runs first"]


def test_removed_approval_is_grave() -> None:
    line = next(line for line in BASE.splitlines(keepends=True) if "approve:" in line)
    found = diff_plans(compiled(BASE).plan, compiled(BASE.replace(line, "")).plan)
    assert [(change.danger, change.sentence) for change in found.changes] == [
        (Danger.GRAVE, "step contain no longer asks for approval")
    ]


def test_a_new_version_with_the_same_content_and_another_comment_is_the_same() -> None:
    found = diff_plans(
        compiled(BASE).plan, compiled("# hello\n" + BASE.replace("version: 1", "version: 2")).plan
    )
    assert found.same
    assert render_text(found) == "x@1 and x@2 mean the same\n"


def test_markdown_keeps_what_an_author_wrote_inside_of_code() -> None:
    hostile = BASE.replace("question: Sure?", 'question: "`x` <img src=x> @team"')
    shown = render_markdown(diff_plans(compiled(BASE).plan, compiled(hostile).plan))
    assert "`'x' <img src=x> @team`" in shown
    assert shown.startswith("### `x@1 (before)` -> `x@1 (after)`\n")


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([(old, new) for old, new, *_ in CASES]),
        min_size=1,
        max_size=4,
        unique_by=lambda pair: pair[0],
    )
)
def test_every_change_of_the_plan_is_reported(pairs: list[tuple[str, str]]) -> None:
    changed = BASE
    for old, new in pairs:
        changed = changed.replace(old, new)
    a, b = compiled(BASE).plan, compiled(changed).plan
    assert diff_plans(a, b).same is (a.digest == b.digest)
