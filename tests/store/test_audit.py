"""The trail is append-only in the database, sealed by one process, and complete."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from orchestrator.audit import trail
from orchestrator.audit.sealer import export_trail, seal_pending
from orchestrator.audit.verify.check import verify
from orchestrator.domain.audit_event import EventKind
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit
from orchestrator.store.tables import AuditEventRow, AuditSealRow
from tests.harness.databases import START, NewDatabase, opened

TABLES = ("audit_events", "audit_seals", "audit_batches")


async def _write(rt: Runtime, count: int) -> None:
    async with rt.store.write() as session:
        for number in range(count):
            await trail.record(
                session,
                EventKind.RUN_CREATED,
                actor="system",
                subject=f"run_{number}",
                data={"n": number},
                now=START,
            )


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("deed", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
async def test_database_refuses_to_change_the_trail(
    tmp_path: Path, database: str | None, table: str, deed: str
) -> None:
    column = {"audit_events": "actor", "audit_seals": "leaf", "audit_batches": "last_seq"}[table]
    async with opened(tmp_path, database) as [rt]:
        await _write(rt, 2)
        await seal_pending(rt)
        with pytest.raises(DBAPIError, match="append-only"):
            async with rt.store.write() as session:
                await session.execute(text(deed.format(table, column)))


async def test_event_written_again_by_a_retry_is_stored_once(
    tmp_path: Path, database: str | None
) -> None:
    async with opened(tmp_path, database) as [rt]:
        for _ in range(2):
            async with rt.store.write() as session:
                for name in ("evt_a", "evt_b"):
                    await trail.record(
                        session,
                        EventKind.STEP_APPLIED,
                        actor="run:1",
                        subject="1",
                        data={},
                        now=START,
                        event_id=name,
                    )
        async with rt.store.read() as session:
            assert await session.scalar(select(func.count()).select_from(AuditEventRow)) == 2


async def test_concurrent_sealers_make_one_chain(tmp_path: Path, database: str | None) -> None:
    async with opened(tmp_path, database, processes=3) as runtimes:
        rt = runtimes[0]
        await asyncio.gather(*(_write(each, 40) for each in runtimes))
        sealed = await asyncio.gather(*(seal_pending(each) for each in runtimes))
        assert sum(sealed) == 120
        head = await export_trail(rt, tmp_path / "trail.jsonl")
        assert head.events == 120
        assert verify(tmp_path / "trail.jsonl", rt.audit_key.public).status == "intact"


async def test_event_committed_after_later_ones_were_sealed_is_sealed_too(
    tmp_path: Path, postgresql_server: NewDatabase
) -> None:
    async with opened(tmp_path, postgresql_server(), processes=2) as [slow, quick]:
        async with slow.store.write() as session:
            await trail.record(
                session, EventKind.RUN_CREATED, actor="system", subject="slow", data={}, now=START
            )
            await _write(quick, 3)
            assert await seal_pending(quick) == 3
        assert await seal_pending(quick) == 1
        async with quick.store.read() as session:
            assert list(
                await session.scalars(select(AuditSealRow.event_number).order_by(AuditSealRow.seq))
            ) == [2, 3, 4, 1]


async def test_pages_are_newest_first_and_filtered(tmp_path: Path, database: str | None) -> None:
    async with opened(tmp_path, database) as [rt]:
        await _write(rt, 5)
        async with rt.store.read() as session:
            first = await audit.page(session, before=None, limit=2)
            second = await audit.page(session, before=first[-1][1].number, limit=9)
            one = await audit.page(
                session, before=None, limit=9, subject="run_3", kind=EventKind.RUN_CREATED
            )
        assert [event.record["subject"] for _, event in first + second] == [
            "run_4",
            "run_3",
            "run_2",
            "run_1",
            "run_0",
        ]
        assert [event.record["data"] for _, event in one] == [{"n": 3}]
