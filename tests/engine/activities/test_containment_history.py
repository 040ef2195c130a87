"""A playbook sees how often and when a target was contained before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from connectors.capabilities.own import Own
from orchestrator.authoring.rehearsal.rehearse import rehearse
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.contracts.change import UndoRequest
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.activities.read import ReadSystem
from tests.harness.activity_rig import ActivityRig, UndoChange, rig
from tests.harness.playbook_texts import compiled

ADDRESS = "198.51.100.7"
PLAYBOOK = """\
playbook: block-longer
version: 1
title: Block longer each time
owner: soc
trigger:
  when: alert.class == 'brute_force' and alert.remote.address is not none
steps:
  - id: before
    use: tocsin.containment_history
    with: {type: address, value: "${{ alert.remote.address }}", within: 30d}
  - id: block
    use: firewall.block_address
    with: {address: "${{ alert.remote.address }}"}
    for: ${{ '7d' if steps.before.count >= 2 else '1d' if steps.before.count == 1 else '1h' }}
"""
TESTS = """\
playbook: block-longer
cases:
  - name: the first time
    given: {alert: {class: brute_force, remote: {address: 198.51.100.7}}}
    expect: {status: completed, applied: [firewall.block_address 198.51.100.7]}
  - name: the second time
    given: {alert: {class: brute_force, remote: {address: 198.51.100.7}}}
    stubs:
      tocsin.containment_history: {output: {count: 1}}
    expect: {status: completed}
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def _history(bench: ActivityRig, run: str = "run_9", **given: Any) -> dict[str, Any]:
    wish = {"type": "address", "value": ADDRESS, **given}
    call = bench.call("tocsin", Own.capability, "containment_history", Effect.READ, wish, run=run)
    return (await ActivityEnvironment().run(ReadSystem(bench.rt).read, call)).output


async def _contain_and_lift(bench: ActivityRig, run: str) -> None:
    await bench.contained(bench.block(run))
    cause = LeaseEndReason.ROLLED_BACK
    request = UndoRequest(run_id=run, path="block", cause=cause, reason="over", actor="system")
    await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)


async def test_target_that_was_never_contained_has_no_history(bench: ActivityRig) -> None:
    empty = {"count": 0, "first_at": None, "last_at": None, "last_age": None, "in_force": False}
    assert await _history(bench) == empty


async def test_history_counts_the_containments_of_other_runs(bench: ActivityRig) -> None:
    await _contain_and_lift(bench, "run_1")
    bench.pass_time(timedelta(days=10))
    await bench.contained(bench.block("run_2"))
    bench.pass_time(timedelta(hours=1))
    found = await _history(bench)
    assert (found["count"], found["last_age"], found["in_force"]) == (2, 3_600, True)
    assert (await _history(bench, within="9d"))["count"] == 1
    own = await _history(bench, run="run_2")
    assert (own["count"], own["in_force"]) == (1, False)
    assert (await _history(bench, value="198.51.100.8"))["count"] == 0
    assert (await _history(bench, value=f"::ffff:{ADDRESS}"))["count"] == 2


@pytest.mark.parametrize("wish", [{"within": "soon"}, {"value": "nowhere"}, {"type": "colour"}])
async def test_wrong_question_is_rejected(bench: ActivityRig, wish: dict[str, str]) -> None:
    with pytest.raises(ApplicationError, match="the input is invalid"):
        await _history(bench, **wish)


async def test_history_is_empty_in_a_test_without_a_stub() -> None:
    plan = compiled(PLAYBOOK).plan
    cases = read_tests(TESTS, "tests.yaml", plan)
    for case in cases.cases:
        found = await rehearse(plan, cases, case, lambda _: b"")
        assert not found.differences, (case.name, found.differences)
