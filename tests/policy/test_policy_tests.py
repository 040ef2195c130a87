"""Test cases of a policy: results name expected and actual verdict, deciding rule, and place."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.policy.document import parse_policy
from orchestrator.policy.lint import lint_policy
from orchestrator.policy.tests import CaseResult, junit_xml, policy_file_of, run_cases

LAB = Path(__file__).parents[2] / "orchestrator" / "first_start_data" / "lab_policy.tests.yaml"
POLICY = parse_policy(
    "rules:\n  - {name: leads, effect: contain, tags: vip, approve: {by: soc-leads}}\n"
)
CASE = "cases:\n  - name: x\n    given: {action: edr.isolate_host, target: 'host:ws-1', tags: vip}\n    expect: "


def run(text: str) -> tuple[CaseResult, ...]:
    return run_cases(text, "t.yaml", POLICY, usual_catalogue())


def test_the_lab_policy_passes_its_tests() -> None:
    text = LAB.read_text("utf-8")
    policy = parse_policy((LAB.parent / policy_file_of(text, "t.yaml")).read_text("utf-8"))
    assert [
        result.failure
        for result in run_cases(text, LAB.name, policy, usual_catalogue())
        if result.failure
    ] == []
    (warning,) = lint_policy(policy)
    assert "approvals.new_approvers_wait is 0" in warning  # it is a lab


def test_a_failed_case_names_both_verdicts_and_the_deciding_rule() -> None:
    (result,) = run(CASE + "{verdict: allow, by: admins}\n")
    assert result.line == 2
    assert result.failure is not None
    assert result.failure.startswith(
        "expected verdict allow, by admins, got verdict ask, by soc-leads, decided by leads: "
    )
    assert run(CASE + "{verdict: ask, rule: leads}\n")[0].failure is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cases: []\n", "t.yaml:1:8: cases"),
        (CASE + "{verdict: alow}\n", "t.yaml:4:23: cases.0.expect.verdict"),
        (CASE + "{verdct: allow}\n", "t.yaml:4:14: cases.0.expect.verdct"),
        (
            CASE.replace("host:ws-1", "hst:ws-1") + "{verdict: allow}\n",
            "cases.0.given.target: 'hst:ws-1' is not a target; write TYPE:VALUE",
        ),
        (
            CASE.replace("isolate_host", "isolte_host") + "{verdict: allow}\n",
            "t.yaml:3:21: action: 'edr.isolte_host' is unknown",
        ),
        ("assets:\n  - {type: address, value: x}\n" + CASE + "{verdict: allow}\n", "t.yaml:2:5: "),
        ("a: [", "t.yaml:1:"),
    ],
)
def test_an_invalid_file_is_reported_with_its_place(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        run(text)
    assert message in str(caught.value)


def test_junit_xml_reports_each_case() -> None:
    results = (*run(CASE + "{verdict: allow}\n"), *run(CASE + "{verdict: ask}\n"))
    suite = fromstring(junit_xml(results, "t.yaml"))
    assert (suite.get("tests"), suite.get("failures"), len(suite.findall("testcase/failure"))) == (
        "2",
        "1",
        1,
    )


def test_a_policy_instead_of_its_tests_is_named_as_such() -> None:
    with pytest.raises(Invalid, match="has no `cases`; policy tests are a file of their own"):
        run_cases("protect: {addresses: [10.0.0.1]}", "policy.yaml", POLICY, usual_catalogue())
