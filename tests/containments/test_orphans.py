"""Orphans are listed per connection, and a connection that cannot list them says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from temporalio.testing import ActivityEnvironment

from orchestrator.containments.orphans import list_orphans
from orchestrator.contracts.change import UndoRequest
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.errors import NotFound
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow
from tests.harness.activity_rig import ActivityRig, UndoChange, rig
from tests.harness.request_worker import request_worker


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def firewall(bench: ActivityRig) -> list[tuple[str, str]]:
    (found,) = (await list_orphans(bench.rt, request_worker(bench.rt), connection="firewall")).items
    assert (found.listed, found.why) == (True, None)
    return [(orphan.action, orphan.target) for orphan in found.orphans]


async def test_held_changes_and_changes_of_others_are_not_orphans(bench: ActivityRig) -> None:
    world: Any = bench.worlds["firewall"]
    world.tags["203.0.113.9"] = [world.tag]
    await bench.contained(bench.block())
    assert await firewall(bench) == []


async def test_tagged_object_that_the_database_does_not_know_is_an_orphan(
    bench: ActivityRig,
) -> None:
    await bench.contained(bench.block())
    async with bench.rt.store.write() as session:
        for table in (EffectRow, LeaseRow, ContainmentRow):
            await session.execute(delete(table))
    assert await firewall(bench) == [("block_address", "198.51.100.7")]


async def test_tagged_object_that_returns_after_the_release_is_an_orphan(
    bench: ActivityRig,
) -> None:
    world: Any = bench.worlds["firewall"]
    await bench.contained(bench.block())
    before = {address: list(tags) for address, tags in world.tags.items()}
    request = UndoRequest(
        run_id="run_1",
        path="block",
        cause=LeaseEndReason.ROLLED_BACK,
        reason="rolled back",
        actor="system",
    )
    await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)
    assert await firewall(bench) == []
    world.tags.update(before)
    assert await firewall(bench) == [("block_address", "198.51.100.7")]


async def test_system_that_cannot_list_or_does_not_answer_says_why(bench: ActivityRig) -> None:
    bench.worlds["firewall"].inject(kind="status", status=503, times=100)
    page = await list_orphans(bench.rt, request_worker(bench.rt))
    found = {item.connection: item for item in page.items}
    assert not found["firewall"].listed
    assert not found["tickets"].listed
    assert "cannot list objects by Tocsin's tag" in (found["tickets"].why or "")
    with pytest.raises(NotFound):
        await list_orphans(bench.rt, None, connection="nowhere")


async def test_unknown_ban_in_falcon_is_an_orphan_and_hosts_are_reported_as_not_listed(
    bench: ActivityRig,
) -> None:
    hash_ = "44d88612fea8a8f36de82e1278abb02f"
    await bench.contained(bench.call("edr", "edr", "ban_hash", Effect.CONTAIN, {"hash": hash_}))
    (found,) = (await list_orphans(bench.rt, request_worker(bench.rt), connection="edr")).items
    assert (found.listed, found.orphans) == (True, [])
    assert (found.why or "").startswith("isolate_host is not listed: Falcon stores no tag")
    async with bench.rt.store.write() as session:
        for table in (EffectRow, LeaseRow, ContainmentRow):
            await session.execute(delete(table))
    (found,) = (await list_orphans(bench.rt, request_worker(bench.rt), connection="edr")).items
    assert [(orphan.action, orphan.target) for orphan in found.orphans] == [("ban_hash", hash_)]


async def test_more_than_one_vendor_page_is_listed(bench: ActivityRig) -> None:
    world: Any = bench.worlds["firewall"]
    for number in range(1203):
        world.tags[f"198.18.{number // 256}.{number % 256}"] = [
            world.tag,
            "tocsin-0123456789abcdef",
        ]
    assert len(await firewall(bench)) == 1203
