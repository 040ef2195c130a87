"""Of the runs that wait to be started, the most severe are taken first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.domain.run import Mode
from orchestrator.runs.urgent_first import UrgentFirst
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs
from orchestrator.store.tables import RunRow
from tests.harness.databases import START, opened


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        yield runtime


async def add_run(rt: Runtime, id_: str, severity: int, mode: Mode = Mode.LIVE) -> str:
    run = RunRow.begin(
        id=id_,
        playbook="look",
        version=1,
        plan_digest="0",
        alert=None,
        started_by="source:ids",
        now=START,
        mode=mode,
    )
    run.severity = severity
    async with rt.store.write() as session:
        await runs.add(session, run)
    return id_


async def test_most_severe_run_overtakes_those_before_it_and_dry_runs_come_last(
    rt: Runtime,
) -> None:
    dry = await add_run(rt, "dry", 6, Mode.DRY_RUN)
    low = [await add_run(rt, f"low-{number}", 2) for number in range(4)]
    severe = await add_run(rt, "severe", 5)
    queue = UrgentFirst(rt, most=10)
    queue.add([dry, *low, severe])
    assert await queue.take(2) == [severe, low[0]]
    assert await queue.take(3) == low[1:]
    assert await queue.take(3) == [dry]
    assert len(queue) == 0


async def test_queue_takes_no_more_than_it_has_room_for(rt: Runtime) -> None:
    queue = UrgentFirst(rt, most=2)
    queue.add(["a", "b", "a", "c"])
    assert await queue.take(5) == ["a", "b"]
