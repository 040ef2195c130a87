"""Playbook tests: alerts that cases share by name, and playbooks that call each other."""

from __future__ import annotations

import pytest

from orchestrator.authoring.rehearsal.coverage import points
from orchestrator.authoring.rehearsal.report import PlaybookUnderTest, run_tests
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.registry.drafts import resolve_with
from orchestrator.registry.sync import FolderPlaybook

PLAYBOOK = """\
playbook: block-guesser
version: 1
title: Block
owner: soc
trigger: {when: "alert.severity >= 4 and alert.remote.address is not none"}
steps:
  - {id: block, use: firewall.block_address, with: {address: "${{ alert.remote.address }}"}, for: 1h}
"""
CASES = """\
playbook: block-guesser
alerts:
  guessing: {alert: {class: brute_force, severity: 4, remote: {address: 203.0.113.9}}}
cases:
  - name: a guesser is blocked
    given: {named: guessing}
    expect: {status: completed, applied: [firewall.block_address 203.0.113.9]}
  - name: another address is blocked
    given: {named: guessing, alert: {remote: {address: 203.0.113.10}}}
    expect: {status: completed, applied: [firewall.block_address 203.0.113.10]}
  - name: a low severity starts nothing
    given: {named: guessing, alert: {severity: 1}}
    triggers: false
"""
CHILD = """\
playbook: child
version: 1
title: Child
owner: soc
inputs:
  address: {type: address}
steps:
  - id: block
    when: inputs.address != "203.0.113.1"
    use: firewall.block_address
    with: {address: "${{ inputs.address }}"}
    for: 1h
"""
PARENT = """\
playbook: parent
version: 1
title: Parent
owner: soc
inputs:
  address: {type: address}
steps:
  - {id: contain, call: child@1, with: {address: "${{ inputs.address }}"}}
"""
CATALOGUE = usual_catalogue()


def no_files(name: str) -> bytes:
    raise AssertionError(name)


async def test_cases_share_a_named_alert_and_override_its_fields() -> None:
    tested = PlaybookUnderTest(text=PLAYBOOK, file="p.yaml", tests=CASES, tests_file="t.yaml")
    report = await run_tests(tested, no_files, CATALOGUE, lambda _n, _v: None, None)
    assert [case.differences for case in report.cases] == [(), (), ()]


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (CASES.replace("{named: guessing}", "{named: gessing}"), "did you mean 'guessing'"),
        (
            CASES.replace("{named: guessing}", "{named: guessing, file: a.json, product: falco}"),
            "`named` and `file` are mutually exclusive",
        ),
        (
            CASES.replace("class: brute_force", "klass: brute_force"),
            "alert 'guessing': alert.klass",
        ),
    ],
)
async def test_mistake_about_a_named_alert_is_reported_with_its_line(
    tests: str, message: str
) -> None:
    plan = compile_playbook(PLAYBOOK, "p.yaml", CATALOGUE, lambda _n, _v: None).plan
    with pytest.raises(Invalid, match=r"^t.yaml:\d+:\d+: ") as refused:
        read_tests(tests, "t.yaml", plan)
    assert message in str(refused.value)


def test_steps_of_a_called_playbook_do_not_count_in_the_coverage_of_its_caller() -> None:
    given = [FolderPlaybook(file="child.yaml", text=CHILD)]
    resolve = resolve_with(given, CATALOGUE, {})
    plan = compile_playbook(PARENT, "parent.yaml", CATALOGUE, resolve).plan
    assert [str(point) for point in points(plan)] == ["contain: runs"]
