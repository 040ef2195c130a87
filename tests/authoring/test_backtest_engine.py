"""The memory port of a backtest decides as the real workflow does, on the same stored alerts."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.assets.index import AssetIndex
from orchestrator.authoring.backtest.history_index import HistoryIndex
from orchestrator.authoring.backtest.policy_inputs import PolicyInputs
from orchestrator.authoring.backtest.port import (
    HistoryPort,
    HistoryState,
    UnknownTolerantInterpreter,
)
from orchestrator.authoring.backtest.read_resolver import ReadFallback, ReadResolver
from orchestrator.authoring.backtest.replay import BacktestInput, build_state
from orchestrator.authoring.rehearsal.temporal_harness import open_harness
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import PolicyInForce
from orchestrator.registry.analysis import compile_draft
from orchestrator.store.queries import history
from tests.harness.history_rig import LIVE, NOW, HistoryRig, rig

WHOLE = (
    LIVE
    + """\
  - id: branch
    choose:
      - when: steps.block is not none
        steps:
          - id: tell
            use: chat.post
            with: {channel: soc, text: "${{ steps.block.summary }}"}
      - otherwise:
          - id: look
            parallel:
              - {id: again, use: reputation.lookup_address, with: {address: "${{ alert.remote.address }}"}}
              - id: each
                for_each: [198.51.100.20, 198.51.100.21]
                as: address
                at_most: 5
                steps:
                  - id: stop
                    approve: {question: "Block ${{ address }}?"}
                    use: firewall.block_address
                    with: {address: "${{ address }}"}
                    for: 1h
  - id: pause
    wait: 10m
  - id: breaks
    when: alert.title == 'Breaks'
    use: chat.post
    with: {channel: soc, text: "${{ alert.host.name }}"}
on_failure: roll_back
"""
)


async def states(past: HistoryRig) -> list[HistoryState]:
    """Fresh ones of all alerts, with what answers at hand."""
    plan = (await compile_draft(past.rt, WHOLE, "playbook.yaml")).plan
    async with past.rt.store.read() as session:
        alerts, _ = await history.alerts_between(session, NOW - timedelta(days=1), NOW, None, 100)
        records = await history.steps_of_incidents(session, [alert.incident_id for alert in alerts])
    policy = Policy()
    policy_inputs = PolicyInputs(AssetIndex([]), (), {}, policy.limits)
    given = BacktestInput(
        plan=plan,
        draft="draft",
        policy=PolicyInForce(0, policy.digest, policy),
        policy_inputs=policy_inputs,
    )
    memory = HistoryIndex()
    memory.add(records)

    async def nothing(*_: Any) -> list[Any]:
        return []

    resolver = ReadResolver(memory, ReadFallback.UNKNOWN, {}, nothing, nothing)
    return [build_state(given, alert, resolver, {}, plan.digest) for alert in alerts]


def result_of(state: HistoryState) -> dict[str, Any]:
    results = {
        name: getattr(state, name)
        for name in ("contained", "undone", "would_ask", "denied", "states", "errors")
    }
    return {
        name: sorted(each) if isinstance(each, list) else dict(sorted(each.items()))
        for name, each in results.items()
    }


async def test_memory_port_and_workflow_agree(tmp_path: Path) -> None:
    async with rig(tmp_path) as past:
        await past.handled("bad", "198.51.100.7", 9)
        await past.handled("good", "203.0.113.9", 0)
        await past.handled("breaks", "198.51.100.8", 9, title="Breaks")
        in_memory, by_workflow = await states(past), await states(past)
    first = [
        await UnknownTolerantInterpreter(HistoryPort(state), state).run_plan()
        for state in in_memory
    ]
    async with open_harness() as served:
        second = [(await served.play(state))[0] for state in by_workflow]
    assert [result_of(state) for state in in_memory] == [result_of(state) for state in by_workflow]
    assert [(result.status, result.error, result.steps) for result in first] == [
        (result.status, result.error, result.steps) for result in second
    ]
    assert sorted(result.status.value for result in first) == [
        "completed",
        "completed",
        "rolled_back",
    ]
    assert {name for state in in_memory for name in state.would_ask} == {
        "firewall.block_address 198.51.100.20",
        "firewall.block_address 198.51.100.21",
    }
