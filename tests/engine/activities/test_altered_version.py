"""A version that was altered in the database does not run, and opens a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Effect
from orchestrator.playbook.plan import Plan, Use
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import AuditEventRow, PlaybookRow, TaskRow
from tests.harness.activity_rig import START, ActivityRig, run_row
from tests.harness.databases import edit_rows
from tests.harness.temporal_rig import on_temporal

BLOCK = Use(
    id="block", connection="firewall", capability="firewall", action="block_address", effect=Effect.CONTAIN,
    inputs={"address": "198.51.100.7"}, hold=86_400,
)  # fmt: skip


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[tuple[ActivityRig, Client]]:
    async with on_temporal(tmp_path) as both:
        yield both


def widened(plan: dict[str, Any]) -> dict[str, Any]:
    return {"plan": {**plan, "steps": [{**plan["steps"][0], "inputs": {"address": "203.0.113.9"}}]}}


@pytest.mark.parametrize(
    "altered",
    [widened, lambda _: {"plan": {"steps": 7}}, lambda _: {"digest": "0" * 64}],
    ids=["widened", "unreadable", "digest"],
)
async def test_altered_version_does_not_run_and_opens_a_task(
    bench: tuple[ActivityRig, Client], altered: Callable[..., dict[str, Any]]
) -> None:
    made, client = bench
    plan = Plan(playbook="whole", version=1, title="t", owner="o", steps=(BLOCK,))
    written = plan.model_dump(mode="json")
    more: dict[str, Any] = {
        "source": "",
        "published_at": START,
        "published_by": "x",
        "plan": written,
    }
    await made.add(
        PlaybookRow(name="whole", version=1, digest=plan.digest, title="t", owner="o", **more)
    )
    await made.add(run_row("run_w", playbook="whole", plan_digest=plan.digest, dispatched=False))
    async with made.rt.store.write() as session:
        await edit_rows(session, PlaybookRow, **altered(written))
    if await dispatch(made.rt, client, ["run_w"]):
        async with asyncio.timeout(30):
            await client.get_workflow_handle("run-run_w-1").result()
    assert (await get_run(made.rt, "run_w")).status == "failed"
    assert all(made.effects(name) == 0 for name in made.worlds)
    refused = [
        event.data["reason"]
        for event in await made.rows(AuditEventRow)
        if event.kind == EventKind.PLAYBOOK_REFUSED
    ]
    assert len(refused) == 1
    (task,) = await made.rows(TaskRow)
    assert (task.kind, task.subject, task.summary) == ("refused_playbook", "whole@1", refused[0])
