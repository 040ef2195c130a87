"""A message has one sender, and a link is used once, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from orchestrator.store.queries import notifications
from orchestrator.store.tables import NotificationRow
from tests.harness.databases import START, opened

LEASE = timedelta(minutes=3)


def notification(number: int, **more: object) -> NotificationRow:
    given = {
        "about": "apr_1",
        "person": "ann",
        "channel": "email",
        "kind": "asked",
        "next_at": START,
        "created_at": START,
        **more,
    }
    return NotificationRow(id=f"ntc_{number}", **given)


async def test_concurrent_workers_claim_each_message_once(
    database: str | None, tmp_path: Path
) -> None:
    async with opened(tmp_path, database, processes=4) as workers:
        async with workers[0].store.write() as session:
            await notifications.add(session, [notification(number) for number in range(12)])

        async def claim(number: int) -> list[str]:
            async with workers[number].store.write() as session:
                return [row.id for row in await notifications.claim(session, START, LEASE, 5)]

        claimed = [id_ for ids in await asyncio.gather(*map(claim, range(4))) for id_ in ids]
        assert len(claimed) == len(set(claimed)) == 12


async def test_messages_of_a_dead_worker_are_claimed_by_the_next(
    database: str | None, tmp_path: Path
) -> None:
    async with opened(tmp_path, database) as (rt,):
        async with rt.store.write() as session:
            await notifications.add(session, [notification(1)])
            assert len(await notifications.claim(session, START, LEASE, 5)) == 1
        async with rt.store.write() as session:
            assert (
                await notifications.claim(session, START + LEASE - timedelta(seconds=1), LEASE, 5)
                == []
            )
            (again,) = await notifications.claim(session, START + LEASE, LEASE, 5)
        assert again.attempts == 2


async def test_link_is_used_once_and_not_after_it_expired(
    database: str | None, tmp_path: Path
) -> None:
    async with opened(tmp_path, database, processes=4) as processes:
        async with processes[0].store.write() as session:
            await notifications.add(
                session, [notification(1, token_hash="h", expires_at=START + LEASE)]
            )

        async def use_link(number: int) -> bool:
            async with processes[number].store.write() as session:
                return await notifications.use_link(session, "h", START)

        assert sorted(await asyncio.gather(*map(use_link, range(4)))) == [False, False, False, True]
        async with processes[0].store.write() as session:
            await notifications.restore_link(session, "h")
            assert not await notifications.use_link(session, "h", START + LEASE)
            await notifications.close(session, "apr_1", START + timedelta(seconds=1))
            assert not await notifications.use_link(session, "h", START + timedelta(seconds=2))


async def test_signed_request_is_accepted_once(database: str | None, tmp_path: Path) -> None:
    async with opened(tmp_path, database) as (rt,), rt.store.write() as session:
        assert [
            await notifications.record_request(session, ":slack", "v0=1", 1, "b", START)
            for _ in range(2)
        ] == [True, False]
