"""Every case in every tests.yaml comes out as it says, by the real workflows and by the interpreter in memory alike."""

from __future__ import annotations

import pytest

import playbooks
from orchestrator.authoring.rehearsal.coverage import coverage
from orchestrator.authoring.rehearsal.rehearse import alert_of, rehearse
from orchestrator.authoring.rehearsal.report import trail
from orchestrator.authoring.rehearsal.result import Rehearsal
from orchestrator.authoring.rehearsal.temporal_harness import theatre
from orchestrator.authoring.rehearsal.tests_yaml.model import (
    Case,
    Cases,
    Expectation,
    Given,
    Stub,
    read_cases,
)
from orchestrator.domain.errors import Invalid
from tests.harness.shipped_playbooks import ROOT, cases_of, plan_of

CASES = {name: cases_of(name) for name in playbooks.NAMES}
NAMED = [(name, case) for name, cases in CASES.items() for case in cases.cases]


async def of(name: str, case: Case, cases: Cases | None = None) -> Rehearsal:
    return await rehearse(
        plan_of(name), cases or CASES[name], case, lambda file: (ROOT / name / file).read_bytes()
    )


@pytest.mark.parametrize(
    ("name", "case"), NAMED, ids=[f"{name}: {case.name}" for name, case in NAMED]
)
async def test_a_case_comes_out_as_it_says(name: str, case: Case) -> None:
    assert (await of(name, case)).problems == ()


@pytest.mark.parametrize("name", playbooks.NAMES)
async def test_the_real_workflows_leave_the_same_trail_as_the_interpreter_in_memory_and_reach_nearly_all_of_it(
    name: str,
) -> None:
    plan, cases = plan_of(name), CASES[name]
    async with theatre() as stage:
        real = [
            await rehearse(plan, cases, case, lambda file: (ROOT / name / file).read_bytes(), stage)
            for case in cases.cases
        ]
    assert [found.problems for found in real] == [()] * len(real)
    memory = [await of(name, case) for case in cases.cases]
    for one, other in zip(real, memory, strict=True):
        assert trail(one) == trail(other), one.case
    assert coverage(plan, real) == coverage(plan, memory)
    assert coverage(plan, real).percent >= 90


BRUTE = "brute-force-block"
GIVEN = Given(file="alerts/crowdsec-ssh.json", product="crowdsec")


async def test_what_is_missing_and_what_is_too_much_is_said() -> None:
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
        "applied: missing ['firewall.block_address 203.0.113.8'], and beyond that ['tickets.open'"
    )
    assert undone == "undone: missing ['x'], and beyond that nothing"
    assert asked == "asked: [], not ['Sure?']"


async def test_a_trigger_that_does_not_fit_is_said() -> None:
    case = Case(
        name="quiet",
        given=GIVEN.model_copy(update={"alert": {"severity": 1}}),
        expect=Expectation(status="completed"),
    )
    assert (await of(BRUTE, case)).problems == ("the alert does not fit the trigger",)
    case = Case(name="loud", given=GIVEN, triggers=False)
    assert (await of(BRUTE, case)).problems == ("the alert fits the trigger",)


async def test_a_read_without_stub_fails_and_says_which() -> None:
    text = "playbook: account-compromise\ncases: [{name: a, expect: {status: rolled_back}}]"
    cases = read_cases(text, "t.yaml", plan_of("account-compromise"))
    case = Case(
        name="bare",
        given=Given(
            alert={"class": "account_compromise", "severity": 4, "user": {"name": "j.doe"}}
        ),
        expect=Expectation(status="completed", applied=["chat.post", "tickets.open", "chat.post"]),
    )
    found = await of("account-compromise", case, cases)
    assert found.status == "completed"


@pytest.mark.parametrize("alert", [{"clas": "x"}, {"host": {"nam": "x"}}])
def test_a_field_that_no_alert_has_is_refused(alert: dict[str, object]) -> None:
    with pytest.raises(Invalid, match="an alert has no such field; did you mean"):
        alert_of(Given(alert=alert), lambda _file: b"")


async def test_a_lost_reply_that_stays_lost_is_no_success() -> None:
    stubs = {**CASES[BRUTE].stubs, "firewall.block_address": Stub(fails="unknown")}
    case = Case(
        name="lost",
        given=GIVEN,
        stubs=stubs,
        expect=Expectation(status="rolled_back", applied=["tickets.open"]),
    )
    assert (await of(BRUTE, case)).problems == ()
