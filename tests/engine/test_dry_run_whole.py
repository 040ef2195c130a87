"""Whole dry runs, from Temporal to the vendor's wire, open no connection that could write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from connectors.pool import ConnectionPool, PoolKey
from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.domain.run import Mode
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.queries import get_run
from orchestrator.runs.reconcile import reconcile
from orchestrator.runs.views import RunDetails
from orchestrator.store.tables import ApprovalRow, AssetRow, ContainmentRow, EffectRow, LeaseRow
from tests.harness.activity_rig import ActivityRig, published, run_row
from tests.harness.temporal_rig import on_temporal

TEXT = """\
playbook: everything
version: 1
title: One step of each effect, one that fails, and what is done then
owner: soc
trigger: {when: alert.severity >= 4}
steps:
  - id: host
    use: edr.find_host
    with: {host: mac-113}
  - id: contain
    parallel:
      - id: block
        use: firewall.block_address
        with: {address: 198.51.100.7}
        for: 1s
      - id: isolate
        use: edr.isolate_host
        with: {host: "${{ steps.host.id }}"}
      - id: suspend
        use: identity.suspend_user
        with: {user: j.doe@corp.example}
  - id: ticket
    approve: {question: "Open a ticket?", within: 15m}
    use: tickets.open
    with: {title: Contained}
  - id: again
    use: firewall.unblock_address
    with: {address: 198.51.100.8}
  - id: comment
    use: tickets.comment
    with: {key: NOPE-1, text: x}
on_failure: roll_back
"""


HARMLESS = ["auto-contain"]


class Watched(ConnectionPool):
    """A pool that notes the access with which each connection is opened."""

    def __init__(self, within: ConnectionPool) -> None:
        super().__init__()
        self._within = within
        self.wanted: list[tuple[str, Access]] = []

    def get(self, slot: PoolKey, make: Callable[[], Connector[Any]]) -> Connector[Any]:
        self.wanted.append((slot.name, slot.access))
        return self._within.get(slot, make)


@pytest.fixture
async def bench(
    tmp_path: Path,
) -> AsyncIterator[tuple[ActivityRig, Client, list[tuple[str, Access]]]]:
    """Open everything as in production; return also the list of connections and their access."""
    async with on_temporal(tmp_path, pool=Watched) as (made, client):
        assert isinstance(made.rt.connections, Watched)
        yield made, client, made.rt.connections.wanted


async def ran(made: ActivityRig, client: Client, mode: Mode, text: str = TEXT) -> RunDetails:
    """Run the playbook to its end."""
    plan = compile_playbook(text, "p.yaml", usual_catalogue(), lambda _name, _version: None).plan
    await made.add(published(plan))
    await made.add(
        run_row(
            "run_w",
            playbook=plan.playbook,
            plan_digest=plan.digest,
            mode=mode.value,
            dispatched=False,
        )
    )
    assert await dispatch(made.rt, client, ["run_w"]) == 1
    async with asyncio.timeout(60):
        await client.get_workflow_handle("run-run_w-1").result()
    await reconcile(made.rt, client)
    return await get_run(made.rt, "run_w")


async def test_dry_run_reads_from_all_systems_and_writes_to_none(
    bench: tuple[ActivityRig, Client, Any],
) -> None:
    made, client, wanted = bench
    run = await ran(made, client, Mode.DRY_RUN)
    assert run.status == "failed", (
        run
    )  # at the comment, whose plan is refused; there is nothing to undo
    assert [change.path for change in run.dry_run_changes] == [
        "contain/block",
        "contain/isolate",
        "contain/suspend",
        "ticket",
        "again",
    ], run.dry_run_changes
    assert set(wanted) == {(name, Access.READ) for name in made.worlds}
    assert {name: made.effects(name) for name in made.worlds} == dict.fromkeys(made.worlds, 0)
    assert [
        await made.rows(table) for table in (EffectRow, ContainmentRow, LeaseRow, ApprovalRow)
    ] == [[], [], [], []]


async def test_same_steps_live_write_to_each(bench: tuple[ActivityRig, Client, Any]) -> None:
    made, client, wanted = bench
    without_approval = TEXT.replace("    approve:", "    # ").replace(
        "unblock_address", "block_address"
    )
    await made.add(
        AssetRow(type="host", value="mac-113", short="mac-113", kind="workstation", tags=HARMLESS),
        AssetRow(
            type="user", value="j.doe@corp.example", short="j.doe", kind="person", tags=HARMLESS
        ),
    )
    run = await ran(made, client, Mode.LIVE, without_approval)
    assert run.status == "rolled_back", run  # after the comment, which is the last change
    assert {(name, Access.WRITE) for name in made.worlds} <= set(wanted)
    assert all(made.effects(name) for name in made.worlds)
