"""Questions of a run: made from what is planned, with the leases, the reasons and the evidence."""

from __future__ import annotations

import pytest

from orchestrator.contracts.approval import (
    DEFAULT_QUESTION,
    AskedChange,
    Question,
    Wording,
    changes_in_words,
)
from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.run import RunStatus
from tests.harness.run_answers import agree, asked_change
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

LOOK = "{id: look, use: reputation.lookup_address, with: {address: 203.0.113.7}}"
BLOCK = "{id: block, use: firewall.block_address, with: {address: 203.0.113.7}, for: 24h}"
ISOLATE = "{id: isolate, use: edr.isolate_host, with: {host: ws-042}}"


def change(summary: str, target: str = "ws-7", effect: Effect = Effect.CONTAIN) -> Change:
    planned = {
        "target": {"type": "host", "value": target},
        "changed": True,
        "summary": summary,
    }
    return Change(
        connection="edr",
        connector="stub",
        action="isolate_host",
        effect=effect,
        input={},
        planned_change=planned,
    )


@pytest.mark.parametrize(
    ("summaries", "phrase"),
    [
        ([("Isolate ws-7", None)], "Isolate ws-7 without an end"),
        ([("Isolate ws-7", 86400)], "Isolate ws-7 for 24h"),
        (
            [("Isolate ws-7", 3600), ("Block 198.51.100.7", 3600)],
            "Isolate ws-7 and block 198.51.100.7 for 1h",
        ),
        (
            [("Isolate ws-7", None), ("Block 198.51.100.7", 3600)],
            "Isolate ws-7 without an end and block 198.51.100.7 for 1h",
        ),
        ([("A b", 60), ("WS-7 off", 60), ("Cut c", 60)], "A b, WS-7 off and cut c for 1m"),
        (
            [(f"Block {n}", 60) for n in range(6)],
            "Block 0, block 1, block 2, block 3 and make 2 more changes for 1m",
        ),
    ],
)
def test_changes_are_a_phrase(summaries: list[tuple[str, int | None]], phrase: str) -> None:
    asked = [asked_change(change(summary), hold) for summary, hold in summaries]
    assert changes_in_words(asked) == phrase


def test_question_of_the_policy_names_the_lease() -> None:
    verdict = PolicyVerdict(
        outcome=Verdict.ASK, reasons=("it is critical",), policy_version=1, policy_digest="p"
    )
    asked = AskedChange(change=change("Isolate ws-7"), hold_seconds=7200, verdict=verdict)
    question = Question.from_policy(verdict).about([asked])
    assert (question.text, question.by_policy) == ("Isolate ws-7 for 2h?", True)


def test_text_of_a_system_in_a_question_is_never_evaluated() -> None:
    hostile = "Isolate ${{ changes }} $${{ secret }} {{ 7 * 7 }}"
    wording = Wording(
        template=f"{DEFAULT_QUESTION} ${{{{ alert.title }}}}", names={"alert": {"title": hostile}}
    )
    assert wording.text([asked_change(change(hostile), 60)]) == f"{hostile} for 1m? {hostile}"


def test_an_escaped_expression_stays_text() -> None:
    assert Wording(template="$${{ changes }}?", names={}).text([]) == "${{ changes }}?"


def test_a_change_without_lease_or_containment_names_none() -> None:
    assert (
        changes_in_words([asked_change(change("End sessions", effect=Effect.DESTROY))])
        == "End sessions"
    )


async def test_question_names_only_what_is_done(rig: RunRig, world: MemoryWorld) -> None:
    world.decide = agree
    skipped = (
        "{id: other, when: 'false', use: firewall.block_address, with: {address: 203.0.113.9}}"
    )
    result = await rig.run(
        f"steps:\n  - id: contain\n    approve: {{quorum: 1}}\n    parallel: [{BLOCK}, {ISOLATE}, {skipped}]\n"
    )
    assert result.status is RunStatus.COMPLETED, result.error
    assert [asked.question for asked in world.asked] == [
        "block_address 203.0.113.7 for 24h and isolate_host ws-042 without an end?"
    ]
    assert [each.hold_seconds for each in world.asked[0].changes] == [86400, None]
    assert (world.asked[0].condition, world.asked[0].reasons) == ("always", ())


async def test_question_of_an_author_uses_the_changes_and_earlier_results(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree
    question = (
        "${{ changes | map('target') | join }}: ${{ changes }}?"
        " ${{ steps.look.malicious if changes | length > 0 else 0 }} engines"
    )
    result = await rig.run(
        f'steps:\n  - {LOOK}\n  - id: contain\n    approve: {{question: "{question}", when: steps.look.malicious > 1}}\n'
        f"    parallel: [{BLOCK}]\n"
    )
    assert result.status is RunStatus.COMPLETED, result.error
    assert [asked.question for asked in world.asked] == [
        "203.0.113.7: block_address 203.0.113.7 for 24h? 50 engines"
    ]
    assert world.asked[0].condition == "steps.look.malicious > 1"


async def test_evidence_is_asked_with_the_changes_and_with_a_form(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree
    table = "evidence: {Verdict: '${{ steps.look }}', Score: '${{ steps.look.malicious }} of 60'}"
    result = await rig.run(
        f"steps:\n  - {LOOK}\n  - id: contain\n    approve: {{{table}}}\n    parallel: [{BLOCK}]\n"
        "  - id: form\n    ask:\n      question: Sure?\n      evidence: ['${{ steps.look.malicious }}']\n"
        "      form: {sure: {type: boolean, label: Sure, required: false}}\n"
    )
    assert result.status is RunStatus.COMPLETED, result.error
    asked, form = world.asked
    assert [row.label for row in asked.evidence] == ["Verdict", "Score"]
    assert asked.evidence[0].value["malicious"] == 50
    assert asked.evidence[1].value == "50 of 60"
    assert [(row.label, row.value) for row in form.evidence] == [("steps.look.malicious", 50)]


@pytest.mark.parametrize(
    ("hold", "first"),
    [
        (
            "${{ '2h' if steps.look.malicious > 9 else '1h' }}",
            "isolate_host ws-042 without an end?",
        ),
        (
            "${{ '2h' if steps.look is not none else '1h' }}",
            "isolate_host ws-042 without an end and block_address 203.0.113.7 for 1h?",
        ),
    ],
    ids=["not known before", "another by then"],
)
async def test_approval_covers_no_other_lease(
    rig: RunRig, world: MemoryWorld, hold: str, first: str
) -> None:
    world.decide = agree
    late = (
        f'{{id: block, use: firewall.block_address, with: {{address: 203.0.113.7}}, for: "{hold}"}}'
    )
    result = await rig.run(
        "steps:\n  - id: contain\n    approve: {quorum: 1}\n"
        f"    choose: [{{when: 'true', steps: [{ISOLATE}, {LOOK}, {late}]}}]\n"
    )
    assert result.status is RunStatus.COMPLETED, result.error
    assert [asked.question for asked in world.asked] == [
        first,
        "block_address 203.0.113.7 for 2h?",
    ]


async def test_evidence_that_cannot_be_evaluated_does_not_prevent_the_question(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree
    body = (
        f"steps:\n  - {LOOK}\n  - id: contain\n    approve: {{evidence: {{Link: '${{{{ steps.look.link ~ 1 }}}}'}}}}\n"
        f"    parallel: [{BLOCK}]\n"
    )
    result = await rig.run(body)
    assert result.status is RunStatus.COMPLETED, result.error
    assert str(world.asked[0].evidence[0].value).startswith("not known: ")


def test_wording_that_cannot_be_evaluated_is_an_error() -> None:
    with pytest.raises(TocsinError):
        Wording(template="${{ changes | first | length }}", names={}).text([])
