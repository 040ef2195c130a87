"""What carries our tag on a device and is not known is listed, and what cannot be listed says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from temporalio.testing import ActivityEnvironment

from orchestrator.containments.orphans import list_orphans
from orchestrator.contracts.messages import UndoRequest
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import NotFound
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow
from tests.harness.activity_rig import Rig, Undoing, rig


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


async def firewall(bench: Rig) -> list[tuple[str, str]]:
    (found,) = await list_orphans(bench.rt, connection="firewall")
    assert (found["listed"], found["why"]) == (True, None)
    return [(orphan["action"], orphan["target"]) for orphan in found["orphans"]]


async def test_what_we_hold_and_what_others_blocked_is_no_orphan(bench: Rig) -> None:
    world: Any = bench.worlds["firewall"]
    world.tags["203.0.113.9"] = [world.tag]
    await bench.contained(bench.block())
    assert await firewall(bench) == []


async def test_what_the_store_has_forgotten_is_an_orphan(bench: Rig) -> None:
    await bench.contained(bench.block())
    async with bench.rt.store.write() as session:
        for table in (EffectRow, LeaseRow, ContainmentRow):
            await session.execute(delete(table))
    assert await firewall(bench) == [("block_address", "198.51.100.7")]


async def test_what_came_back_after_it_was_lifted_is_an_orphan(bench: Rig) -> None:
    world: Any = bench.worlds["firewall"]
    await bench.contained(bench.block())
    before = {address: list(tags) for address, tags in world.tags.items()}
    request = UndoRequest(run_id="run_1", path="block", reason="rolled back", actor="system")
    await ActivityEnvironment().run(Undoing(bench.rt).undo, request)
    assert await firewall(bench) == []
    world.tags.update(before)
    assert await firewall(bench) == [("block_address", "198.51.100.7")]


async def test_a_system_that_cannot_list_or_does_not_answer_says_so(bench: Rig) -> None:
    bench.worlds["firewall"].inject(kind="status", status=503, times=100)
    found = {each["connection"]: each for each in await list_orphans(bench.rt)}
    assert not found["firewall"]["listed"]
    assert not found["tickets"]["listed"]
    assert "cannot list what carries our tag" in found["tickets"]["why"]
    with pytest.raises(NotFound):
        await list_orphans(bench.rt, connection="nowhere")


async def test_a_ban_in_falcon_that_the_store_has_forgotten_is_an_orphan_and_of_hosts_it_is_said_that_none_can_be_told(
    bench: Rig,
) -> None:
    hash_ = "44d88612fea8a8f36de82e1278abb02f"
    await bench.contained(bench.call("edr", "edr", "ban_hash", Effect.CONTAIN, {"hash": hash_}))
    (found,) = await list_orphans(bench.rt, connection="edr")
    assert (found["listed"], found["orphans"]) == (True, [])
    assert found["why"].startswith("isolate_host is not listed: Falcon keeps no tag")
    async with bench.rt.store.write() as session:
        for table in (EffectRow, LeaseRow, ContainmentRow):
            await session.execute(delete(table))
    (found,) = await list_orphans(bench.rt, connection="edr")
    assert [(orphan["action"], orphan["target"]) for orphan in found["orphans"]] == [
        ("ban_hash", hash_)
    ]


async def test_more_than_a_page_is_listed(bench: Rig) -> None:
    world: Any = bench.worlds["firewall"]
    for number in range(1203):
        world.tags[f"198.18.{number // 256}.{number % 256}"] = [
            world.tag,
            "tocsin-0123456789abcdef",
        ]
    assert len(await firewall(bench)) == 1203
