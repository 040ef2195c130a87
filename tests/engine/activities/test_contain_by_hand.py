"""Containment by hand on a real Temporal server: applied, verified, leased, released."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from orchestrator.containments.queries import EVERY, list_containments
from orchestrator.containments.release import release
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.runs.contain import contain_target
from orchestrator.runs.queries import get_run
from orchestrator.runs.views import RunDetails
from tests.harness.activity_rig import ActivityRig
from tests.harness.temporal_rig import on_temporal, until_lifted

ADDRESS = Target(type=ObservableType.ADDRESS, value="203.0.113.5")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[tuple[ActivityRig, Client]]:
    async with on_temporal(tmp_path) as both:
        yield both


async def contained(made: ActivityRig, client: Client, length: str | None) -> RunDetails:
    run = await contain_target(
        made.rt,
        client,
        ADDRESS,
        length=length,
        reason="scans our mail server",
        connection="firewall",
        actor="person:ann",
    )
    async with asyncio.timeout(30):
        await client.get_workflow_handle(f"run-{run.id}-1").result()
    return await get_run(made.rt, run.id)


async def test_target_is_blocked_verified_held_and_released(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    run = await contained(made, client, "4h")
    assert (run.status, [step.state for step in run.steps]) == ("completed", ["verified"]), run
    assert made.effects("firewall") == 1
    (held,) = (await list_containments(made.rt, EVERY)).items
    assert (held.target.value, held.state, held.ours) == ("203.0.113.5", "held", True)
    assert [(lease.run_id, lease.started_by) for lease in held.leases] == [(run.id, "person:ann")]
    assert held.leases[0].reason == "scans our mail server"
    await release(made.rt, held.id, actor="person:ann")
    await until_lifted(made, held.id)
    assert (await list_containments(made.rt, EVERY)).items[0].state == "lifted"


async def test_containment_without_an_end_stays_until_it_is_released(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    assert (await contained(made, client, None)).status == "completed"
    (held,) = (await list_containments(made.rt, EVERY)).items
    assert (held.state, held.leases[0].expires_at) == ("held", None)
