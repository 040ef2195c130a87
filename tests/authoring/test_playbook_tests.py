"""Playbook tests: results with places, coverage, and messages for invalid cases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from orchestrator.authoring.rehearsal.alert_fields import EMPTY_ALERT, overlay
from orchestrator.authoring.rehearsal.coverage import measure_coverage
from orchestrator.authoring.rehearsal.render import render_junit, render_page
from orchestrator.authoring.rehearsal.report import (
    PlaybookUnderTest,
    RehearsalReport,
    require_cases,
    run_tests,
)
from orchestrator.authoring.rehearsal.temporal_harness import TemporalHarness, open_harness
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.compile.compiler import compile_playbook

CATALOGUE = usual_catalogue()
PLAYBOOK = """\
playbook: tried
version: 1
title: Tried
owner: soc
inputs:
  address: {type: address}
steps:
  - id: verdict
    use: reputation.lookup_address
    with: {address: "${{ inputs.address }}"}
    on_error: continue
  - id: block
    when: steps.verdict is none or steps.verdict.malicious > 3
    approve: {question: "Block ${{ inputs.address }}?", by: leads, within: 10m, otherwise: escalate, escalate_to: chiefs}
    use: firewall.block_address
    with: {address: "${{ inputs.address }}"}
    for: 2h
  - id: tell
    use: chat.post
    with: {channel: soc, text: "${{ steps.block.summary | default('nothing') }}"}
on_failure: roll_back
"""
STUBS = """\
playbook: tried
stubs:
  reputation.lookup_address:
    output: {known: true, malicious: 9, suspicious: 0, harmless: 0, undetected: 0}
  chat.post:
    output: {channel: soc, id: "1"}
cases:
"""
GIVEN = "given: {inputs: {address: 203.0.113.9}}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[TemporalHarness]:
    async with open_harness() as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def tried(
    stage: TemporalHarness | None, cases: str, only: str | None = None
) -> RehearsalReport:
    tested = PlaybookUnderTest(
        text=PLAYBOOK,
        file="tried/playbook.yaml",
        tests=STUBS + cases,
        tests_file="tried/tests.yaml",
    )
    return await run_tests(
        tested, lambda _name: b"", CATALOGUE, lambda _name, _version: None, stage, only=only
    )


def case(rest: str, name: str = "one") -> str:
    return f"  - name: {name}\n    {GIVEN}\n    {rest}\n"


async def test_lease_of_two_hours_ends_in_the_rehearsal(stage: TemporalHarness) -> None:
    expect = (
        "expect: {status: completed, released: [firewall.block_address 203.0.113.9], undone: []}"
    )
    both = [
        await tried(each, case(f"decide: [approve]\n    after: 3h\n    {expect}"))
        for each in (stage, None)
    ]
    assert [report.failed for report in both] == [0, 0]
    sooner = await tried(stage, case(f"decide: [approve]\n    after: 1h\n    {expect}"))
    assert sooner.cases[0].differences[0].field == "released"


async def test_unanswered_questions_escalate_in_virtual_time(
    stage: TemporalHarness,
) -> None:
    report = await tried(
        stage,
        case("decide: [expire, expire]\n    expect: {status: declined, took: 20m, applied: []}"),
    )
    assert report.cases[0].differences == ()
    assert report.coverage is not None
    assert "block: escalated" not in [
        f"{each.path}: {each.what}" for each in report.coverage.missing
    ]


async def test_mismatch_shows_line_expected_and_actual(
    stage: TemporalHarness,
) -> None:
    stubs = "stubs: {firewall.block_address: {fails: rejected}}"
    report = await tried(
        stage,
        case(
            f"decide: [approve]\n    {stubs}\n    expect: {{status: completed, applied: [chat.post]}}"
        ),
    )
    status, applied = report.cases[0].differences
    assert (status.field, status.at) == ("status", "tried/playbook.yaml:12")
    assert (status.expected, status.actual) == (("completed",), ("rolled_back",))
    assert (applied.at, applied.expected, applied.actual) == (
        "tried/tests.yaml:8",
        ("chat.post",),
        (),
    )


async def test_failure_names_the_step_that_ended_the_run(
    stage: TemporalHarness,
) -> None:
    refused = "stubs: {reputation.lookup_address: {fails: rejected}}"
    report = await tried(
        stage, case(f"decide: [decline]\n    {refused}\n    expect: {{status: completed}}")
    )
    (status,) = report.cases[0].differences
    assert PLAYBOOK.splitlines()[int(status.at.rpartition(":")[2]) - 1] == "  - id: block"


@pytest.mark.parametrize(
    ("stub", "said"),
    [
        ("{output: {known: true}}", "tests.yaml:11:43: the stub's malicious: Field required"),
        (
            "{output: {known: true, malicious: many, suspicious: 0, harmless: 0, undetected: 0}}",
            "the stub's malicious: Input should be a valid",
        ),
        (
            "{output: {known: true, malicous: 1, malicious: 1, suspicious: 0, harmless: 0, undetected: 0}}",
            "did you mean 'malicious'?",
        ),
        ("{fails: rejected, output: {known: true}}", "a stub that always fails has no output"),
        ("{times: 2}", "`times` needs `fails`"),
    ],
)
async def test_impossible_stub_is_refused_with_its_place(stub: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        await tried(
            None,
            case(
                f"stubs:\n      reputation.lookup_address: {stub}\n    expect: {{status: completed}}"
            ),
        )
    assert said in str(refused.value)


async def test_unavailable_system_is_retried_and_outputs_follow_in_order(
    stage: TemporalHarness,
) -> None:
    away = "stubs: {firewall.block_address: {fails: unavailable, times: 2}}"
    report = await tried(
        stage,
        case(
            f"decide: [approve]\n    {away}\n    expect: {{status: completed, took: {{at_least: 1s, at_most: 1h}}}}"
        ),
    )
    assert report.failed == 0


async def test_order_and_results_are_compared_partially(stage: TemporalHarness) -> None:
    good = "order: [firewall.block_address 203.0.113.9, chat.post], results: {verdict: {malicious: 9}, block: {changed: true}}"
    bad = (
        "order: [chat.post, firewall.block_address 203.0.113.9], results: {verdict: {malicious: 8}}"
    )
    report = await tried(
        stage,
        case(f"decide: [approve]\n    expect: {{status: completed, {good}}}", "good")
        + case(f"decide: [approve]\n    expect: {{status: completed, {bad}}}", "bad"),
    )
    assert [each.passed for each in report.cases] == [True, False]
    assert [each.field for each in report.cases[1].differences] == ["order", "results"]


async def test_policy_sees_the_inventory_of_the_case(stage: TemporalHarness) -> None:
    assets = "assets: [{type: address, value: 203.0.113.9, tags: [critical]}]"
    policy = 'policy: "rules: [{tags: [critical], deny: it is ours}]"'
    report = await tried(
        stage,
        case(
            f"{assets}\n    {policy}\n    decide: [approve]\n    expect: {{status: rolled_back, applied: []}}"
        ),
    )
    assert [each.message for each in report.cases[0].differences] == []


async def test_coverage_names_points_that_no_case_reaches(stage: TemporalHarness) -> None:
    report = await tried(stage, case("decide: [approve]\n    expect: {status: completed}"))
    assert report.coverage is not None
    missing = [f"{each.path}: {each.what}" for each in report.coverage.missing]
    assert missing == [
        "verdict: fails and goes on",
        "block: is skipped",
        "block: declined",
        "block: expired",
        "block: escalated",
        "on_failure: rolls back",
    ]
    assert (
        measure_coverage(
            compile_playbook(PLAYBOOK, "p", CATALOGUE, lambda _n, _v: None).plan, []
        ).percent
        == 0
    )


async def test_selected_cases_have_no_coverage(stage: TemporalHarness) -> None:
    text = case("decide: [approve]\n    expect: {status: completed}", "first") + case(
        "expect: {status: declined}", "second"
    )
    report = await tried(stage, text, only="FIRST")
    assert ([each.name for each in report.cases], report.coverage) == (["first"], None)


async def test_reports_escape_hostile_names(stage: TemporalHarness) -> None:
    name = "'<script>alert(1)</script> \" ]]>'"
    report = await tried(stage, case("decide: [decline]\n    expect: {status: completed}", name))
    suite = ET.fromstring(render_junit([report]))
    failure = suite.find(".//failure")
    assert failure is not None
    assert "status is declined, not completed" in str(failure.text)
    positions = compile_playbook(PLAYBOOK, "p", CATALOGUE, lambda _n, _v: None).positions
    html = render_page(report, PLAYBOOK, positions)
    assert "<script>" not in html
    assert '<span class="line part"><span class="n">   8</span>' in html


WAITS = """\
playbook: tried
version: 1
title: Waits
owner: soc
steps:
  - id: more
    wait: {event: "event.severity >= 5", within: 2h, otherwise: continue}
  - id: block
    use: firewall.block_address
    with: {address: 203.0.113.9}
    for: 30m
  - id: rest
    wait: 1h
  - id: host
    use: edr.find_host
    with: {host: ws-1}
  - id: tell
    use: chat.post
    with: {channel: soc, text: "${{ steps.host.isolation }} ${{ steps.more.waited }}"}
"""
FOUND = "playbook: tried\nstubs:\n  edr.find_host: {output: {id: h1, name: ws-1}}\n  chat.post: {output: {channel: soc, id: '1'}}\ncases:\n"


async def waited(stage: TemporalHarness | None, cases: str) -> RehearsalReport:
    tested = PlaybookUnderTest(
        text=WAITS, file="tried/playbook.yaml", tests=FOUND + cases, tests_file="tried/tests.yaml"
    )
    return await run_tests(
        tested, lambda _name: b"", CATALOGUE, lambda _name, _version: None, stage
    )


@pytest.mark.parametrize("real", [True, False], ids=["server", "memory"])
async def test_further_alert_ends_a_wait_during_which_a_lease_ends(
    stage: TemporalHarness, real: bool
) -> None:
    came = "{after: 10m, alert: {severity: 2}}, {after: 20m, alert: {severity: 5}}"
    report = await waited(
        stage if real else None,
        f"  - name: it comes\n    alerts: [{came}]\n    expect: {{status: completed, took: {{at_least: 80m, at_most: 85m}},"
        " results: {more: {waited: true}, host: {isolation: none}}, released: [firewall.block_address 203.0.113.9]}\n"
        "  - name: it does not\n    expect: {status: completed, took: 3h, results: {more: {waited: false}}}\n",
    )
    assert [each.differences for each in report.cases] == [(), ()]
    assert report.coverage is not None
    assert report.coverage.percent == 100


async def test_concurrent_cases_keep_their_own_time(stage: TemporalHarness) -> None:
    few = "".join(
        f"  - {{name: case {number}, expect: {{status: completed, took: 3h}}}}\n"
        for number in range(25)
    )
    assert [each.name for each in (await waited(stage, few)).cases if not each.passed] == []


async def test_case_watches_leases_to_their_end(stage: TemporalHarness) -> None:
    expect = "expect: {status: completed, released: [firewall.block_address 203.0.113.9]}"
    both = [
        await tried(each, case(f"decide: [approve]\n    until: end of leases\n    {expect}"))
        for each in (stage, None)
    ]
    assert [report.failed for report in both] == [0, 0]


async def test_wrong_input_is_rejected_as_by_the_system(
    stage: TemporalHarness,
) -> None:
    text = PLAYBOOK.replace("{type: address}", "{type: text}")
    tested = PlaybookUnderTest(
        text=text,
        file="p.yaml",
        tests=STUBS + case("expect: {status: completed}").replace("203.0.113.9", "nowhere"),
        tests_file="t",
    )
    report = await run_tests(
        tested, lambda _name: b"", CATALOGUE, lambda _name, _version: None, stage
    )
    assert "firewall.block_address does not take this input: address: " in str(
        report.cases[0].error
    )


async def test_question_of_the_policy_does_not_cover_the_authors_approval(
    stage: TemporalHarness,
) -> None:
    text = PLAYBOOK.replace("approve: {question", "approve: {when: steps.verdict is none, question")
    policy = 'policy: "rules: [{effect: contain, approve: {by: leads}}]"'
    cases = STUBS + case(
        f"{policy}\n    decide: [approve]\n    expect: {{status: completed, asked: [Block address 203.0.113.9 for 2h?]}}"
    )
    tested = PlaybookUnderTest(text=text, file="p.yaml", tests=cases, tests_file="t")
    report = await run_tests(
        tested, lambda _name: b"", CATALOGUE, lambda _name, _version: None, stage
    )
    assert report.failed == 0, report.cases[0].differences
    assert report.coverage is not None
    reached = {f"{each.path}: {each.what}" for each in report.coverage.points if each.reached}
    assert "block: is not asked about" in reached
    assert "block: approved" not in reached


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (
            "{severity: high}",
            "tests.yaml:9:21: case 'one': alert.severity: Input should be 0, 1, 2, 3, 4, 5 or 6; high is 4",
        ),
        ("{severity: 3.7}", "alert.severity: Input should be 0, 1"),
        ("{severity: null}", "alert.severity: Input should be 0, 1"),
        ("{severity: 99}", "alert.severity: Input should be 0, 1"),
        ("{titel: a}", "alert.titel: an alert has no such field; did you mean 'title'?"),
        ("{title: 5}", "alert.title: Input should be a valid string"),
        ("{class: Brute Force}", "alert.class: String should match pattern"),
        ("{host: web1}", "alert.host: "),
        ("{host: {critical: of course}}", "alert.host.critical: Input should be a valid boolean"),
        ("{remote: {port: high}}", "alert.remote.port: Input should be a valid integer"),
        ("{observables: [{type: address}]}", "alert.observables.0.value: Field required"),
        ("{techniques: T1110}", "alert.techniques: Input should be a valid"),
        ("{time: yesterday}", "alert.time: Input should be a valid datetime"),
        ("{resolved: 'no'}", "alert.resolved: Input should be a valid boolean"),
        ("{source: 5}", "alert.source: must be a text"),
    ],
)
@pytest.mark.parametrize("where", ["given", "later"])
async def test_impossible_alert_is_refused_with_its_place(
    alert: str, said: str, where: str
) -> None:
    given = (
        f"given: {{alert: {alert}}}"
        if where == "given"
        else f"{GIVEN}\n    alerts: [{{after: 5m, alert: {alert}}}]"
    )
    with pytest.raises(Invalid) as refused:
        await tried(None, f"  - name: one\n    {given}\n    expect: {{status: completed}}\n")
    assert said.removeprefix("tests.yaml:9:21: " if where == "later" else "") in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "a.json: not an alert of crowdsec (crowdsec: $ is an empty list)"),
        (b'{"x": 1}', "a.json: not an alert of crowdsec (crowdsec: $.scenario is missing"),
        (b'{"x":', "a.json: the body is not JSON"),
    ],
)
async def test_file_without_alert_is_refused_with_file_and_case(content: bytes, said: str) -> None:
    text = (
        STUBS
        + "  - name: one\n    given: {file: a.json, product: crowdsec}\n    expect: {status: completed}\n"
    )
    tested = PlaybookUnderTest(text=PLAYBOOK, file="p.yaml", tests=text, tests_file="t.yaml")
    with pytest.raises(Invalid) as refused:
        await run_tests(tested, lambda _name: content, CATALOGUE, lambda _n, _v: None, None)
    assert str(refused.value).startswith("t.yaml:8: case 'one': ")
    assert said in str(refused.value)


async def test_severity_sets_its_name() -> None:
    assert overlay(EMPTY_ALERT, {"severity": 5})["severity_name"] == "critical"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            "expct: {status: completed}",
            "tests.yaml:10:5: unknown key cases.0.expct; did you mean 'expect'?",
        ),
        ("expect: {statu: completed}", "unknown key cases.0.expect.statu; did you mean 'status'?"),
        (
            "expect: {status: complete}",
            "cases.0.expect.status cannot be 'complete'; did you mean 'completed'?",
        ),
        (
            "expect: {status: completed, took: soon}",
            "cases.0.expect.took: 'soon' is not a duration; write it like 90s",
        ),
        (
            "expect: {status: completed, took: {at_most: 1x}}",
            "cases.0.expect.took.at_most: '1x' is not a duration; write it like 90s",
        ),
        ("decide: [maybe]\n    expect: {status: completed}", "write approve, decline, expire"),
        (
            "stubs: {firewall.block_address: {fail: x}}\n    expect: {status: completed}",
            "did you mean 'fails'?",
        ),
    ],
)
async def test_each_problem_of_a_case_is_reported_once_with_its_fix(wrong: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        await tried(None, case(wrong))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_misspelled_answer_is_not_an_approval() -> None:
    report = await tried(
        None, case("decide: [{aprove: [203.0.113.9]}]\n    expect: {status: completed}")
    )
    assert [each.field for each in report.cases[0].differences] == ["decide"]
    assert "write approve or `{approve: [TARGET]}`" in report.cases[0].differences[0].message


async def test_selection_without_cases_is_an_error() -> None:
    tested = PlaybookUnderTest(
        text=PLAYBOOK,
        file="p.yaml",
        tests=STUBS + case("expect: {status: completed}"),
        tests_file="t.yaml",
    )
    report = await run_tests(
        tested, lambda _name: b"", CATALOGUE, lambda _n, _v: None, None, only="nothing such"
    )
    with pytest.raises(Invalid, match="no case has 'nothing such' in its name"):
        require_cases([report], "nothing such")
