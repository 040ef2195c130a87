"""A kill switch applies from the next change on, whichever process engaged it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.policy.stops import kill_switches
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.store.tables import EffectRow
from tests.harness.activity_rig import ActivityRig, rig

SWITCHES = [
    ("global", "*"),
    ("connection", "firewall"),
    ("connection", "palo_alto"),
    ("playbook", "contain"),
    ("source", "test"),
]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


@pytest.fixture
async def other(bench: ActivityRig) -> AsyncIterator[Runtime]:
    """Open another process on the same store."""
    process = open_runtime(bench.rt.settings, clock=bench.rt.clock)
    yield process
    await process.close()


@pytest.mark.parametrize(("scope", "name"), SWITCHES)
async def test_kill_switch_of_another_process_applies_to_the_next_change(
    bench: ActivityRig, other: Runtime, scope: str, name: str
) -> None:
    for number in range(1, 4):
        before, stopped, after = (f"198.51.{number}.{last}" for last in (1, 2, 3))
        await bench.contained(bench.block(address=before, path=before))
        call = bench.block(address=stopped, path=stopped)
        planned = await bench.plan(call)  # evaluated and allowed before the switch
        await kill_switches.engage(other, scope, name, "drill", actor="person:bob")
        reply = await bench.apply(call, planned)
        assert (reply.outcome, "the kill switch for" in reply.detail) == ("refused", True)
        await kill_switches.lift(other, scope, name, actor="person:bob")
        await bench.contained(bench.block(address=after, path=after))
    made = {row.target_value for row in await bench.rows(EffectRow)}
    assert made == {f"198.51.{number}.{last}" for number in range(1, 4) for last in (1, 3)}


@pytest.mark.parametrize(
    ("scope", "name"),
    [("connection", "edr"), ("connection", "jira"), ("playbook", "other"), ("source", "siem")],
)
async def test_kill_switch_of_another_scope_stops_nothing(
    bench: ActivityRig, other: Runtime, scope: str, name: str
) -> None:
    await kill_switches.engage(other, scope, name, "drill", actor="person:bob")
    await bench.contained(bench.block())
