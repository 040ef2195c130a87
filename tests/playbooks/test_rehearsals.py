"""Every case of every tests.yaml, through the real workflows and the interpreter in memory."""

from __future__ import annotations

import pytest

import playbooks
from orchestrator.authoring.rehearsal.coverage import measure_coverage
from orchestrator.authoring.rehearsal.rehearse import build_alert, rehearse
from orchestrator.authoring.rehearsal.report import comparable_result
from orchestrator.authoring.rehearsal.result import Rehearsal
from orchestrator.authoring.rehearsal.temporal_harness import open_harness
from orchestrator.authoring.rehearsal.tests_yaml.model import (
    Case,
    CaseInput,
    CasesFile,
    Expectation,
    Stub,
)
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.domain.errors import Invalid
from tests.harness.shipped_playbooks import ROOT, cases_of, plan_of

CASES = {name: cases_of(name) for name in playbooks.NAMES}
NAMED = [(name, case) for name, cases in CASES.items() for case in cases.cases]


async def of(name: str, case: Case, cases: CasesFile | None = None) -> Rehearsal:
    return await rehearse(
        plan_of(name), cases or CASES[name], case, lambda file: (ROOT / name / file).read_bytes()
    )


@pytest.mark.parametrize(
    ("name", "case"), NAMED, ids=[f"{name}: {case.name}" for name, case in NAMED]
)
async def test_case_has_its_expected_outcome(name: str, case: Case) -> None:
    assert (await of(name, case)).problems == ()


@pytest.mark.parametrize("name", playbooks.NAMES)
async def test_workflows_and_memory_have_the_same_results_and_coverage(
    name: str,
) -> None:
    plan, cases = plan_of(name), CASES[name]
    async with open_harness() as stage:
        real = [
            await rehearse(plan, cases, case, lambda file: (ROOT / name / file).read_bytes(), stage)
            for case in cases.cases
        ]
    assert [found.problems for found in real] == [()] * len(real)
    memory = [await of(name, case) for case in cases.cases]
    for one, other in zip(real, memory, strict=True):
        assert comparable_result(one) == comparable_result(other), one.case
    assert measure_coverage(plan, real) == measure_coverage(plan, memory)
    assert measure_coverage(plan, real).percent >= 90


BRUTE = "brute-force-block"
GIVEN = CaseInput(file="alerts/crowdsec-ssh.json", product="crowdsec")


async def test_missing_and_additional_effects_are_reported() -> None:
    expect = Expectation(
        status="failed",
        applied=["firewall.block_address 203.0.113.8"],
        undone=["x"],
        asked=["Sure?"],
    )
    found = await of(BRUTE, Case(name="wrong", given=GIVEN, expect=expect))
    assert found.status == "completed"
    status, applied, undone, asked = found.problems
    assert status == "status is completed, not failed"
    assert applied.startswith(
        "applied: missing ['firewall.block_address 203.0.113.8'], unexpected ['tickets.open'"
    )
    assert undone == "undone: missing ['x'], unexpected nothing"
    assert asked == "asked: [], not ['Sure?']"


async def test_trigger_that_does_not_match_is_reported() -> None:
    case = Case(
        name="quiet",
        given=GIVEN.model_copy(update={"alert": {"severity": 1}}),
        expect=Expectation(status="completed"),
    )
    assert (await of(BRUTE, case)).problems == ("the alert does not fit the trigger",)
    case = Case(name="loud", given=GIVEN, triggers=False)
    assert (await of(BRUTE, case)).problems == ("the alert fits the trigger",)


async def test_read_without_stub_fails() -> None:
    text = "playbook: account-compromise\ncases: [{name: a, expect: {status: rolled_back}}]"
    cases = read_tests(text, "t.yaml", plan_of("account-compromise"))
    case = Case(
        name="bare",
        given=CaseInput(
            alert={"class": "account_compromise", "severity": 4, "user": {"name": "j.doe"}}
        ),
        expect=Expectation(status="completed", applied=["chat.post", "tickets.open", "chat.post"]),
    )
    found = await of("account-compromise", case, cases)
    assert found.status == "completed"


@pytest.mark.parametrize("alert", [{"clas": "x"}, {"host": {"nam": "x"}}])
def test_unknown_alert_field_is_refused(alert: dict[str, object]) -> None:
    with pytest.raises(Invalid, match="an alert has no such field; did you mean"):
        build_alert(CaseInput(alert=alert), lambda _file: b"")


async def test_reply_that_stays_lost_is_not_a_success() -> None:
    stubs = {**CASES[BRUTE].stubs, "firewall.block_address": Stub(fails="unknown")}
    case = Case(
        name="lost",
        given=GIVEN,
        stubs=stubs,
        expect=Expectation(status="rolled_back", applied=["tickets.open"]),
    )
    assert (await of(BRUTE, case)).problems == ()
