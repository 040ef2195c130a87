"""Do the tests beside a policy tell what was expected, what came, which rule decided, and where?"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.policy.document import parse_policy
from orchestrator.policy.lint import warnings
from orchestrator.policy.tests import CaseResult, junit_xml, policy_beside, run_cases

LAB = Path(__file__).parents[2] / "orchestrator" / "first_start_data" / "lab_policy.tests.yaml"
POLICY = parse_policy(
    "rules:\n  - {name: leads, effect: contain, tags: vip, approve: {by: soc-leads}}\n"
)
CASE = "cases:\n  - name: x\n    given: {action: edr.isolate_host, target: 'host:ws-1', tags: vip}\n    expect: "


def run(text: str) -> tuple[CaseResult, ...]:
    return run_cases(text, "t.yaml", POLICY, usual_catalogue())


def test_the_policy_of_the_lab_says_what_its_tests_want() -> None:
    text = LAB.read_text("utf-8")
    policy = parse_policy((LAB.parent / policy_beside(text, "t.yaml")).read_text("utf-8"))
    assert [
        result.failure
        for result in run_cases(text, LAB.name, policy, usual_catalogue())
        if result.failure
    ] == []
    assert warnings(policy) == ()


def test_a_case_that_fails_says_what_was_expected_what_came_and_which_rule_decided() -> None:
    (result,) = run(CASE + "{verdict: allow, by: nobody}\n")
    assert result.line == 2
    assert result.failure is not None
    assert result.failure.startswith(
        "expected verdict allow, by nobody; it is verdict approve, by soc-leads: leads decided: "
    )
    assert run(CASE + "{verdict: ask, rule: leads}\n")[0].failure is None


@pytest.mark.parametrize(
    ("text", "said"),
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
            "t.yaml:3:21: nobody knows what 'edr.isolte_host'",
        ),
        ("assets:\n  - {type: address, value: x}\n" + CASE + "{verdict: allow}\n", "t.yaml:2:5: "),
        ("a: [", "t.yaml:1:"),
    ],
)
def test_what_is_wrong_in_the_tests_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        run(text)
    assert said in str(caught.value)


def test_build_servers_are_told_of_each_case() -> None:
    results = (*run(CASE + "{verdict: allow}\n"), *run(CASE + "{verdict: ask}\n"))
    suite = fromstring(junit_xml(results, "t.yaml"))
    assert (suite.get("tests"), suite.get("failures"), len(suite.findall("testcase/failure"))) == (
        "2",
        "1",
        1,
    )
