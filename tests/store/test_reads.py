"""A session for reading never writes, whatever its rows are given."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from orchestrator.store.tables import IncidentRow
from tests.harness.databases import START, opened


async def test_session_for_reading_writes_nothing_when_it_queries_after_a_change(
    tmp_path: Path,
) -> None:
    row = IncidentRow(
        id="inc_1",
        correlation_key="k",
        title="Beacon",
        severity=3,
        opened_at=START,
        last_alert_at=START,
    )
    async with opened(tmp_path, None) as [rt]:
        async with rt.store.write() as session:
            session.add(row)
        async with rt.store.read() as session:
            found = await session.get_one(IncidentRow, "inc_1")
            found.alerts = 9
            await session.execute(select(IncidentRow.id))
        async with rt.store.read() as session:
            assert (await session.get_one(IncidentRow, "inc_1")).alerts == 1
