"""The fixed statements of the webhook agree with the tables, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

from orchestrator.domain.run import Mode, RunStatus
from orchestrator.runtime import Runtime
from orchestrator.store.intake_rows import count_deliveries, values_of
from orchestrator.store.queries.sources import activity
from orchestrator.store.search.index import ADD_OBSERVABLE
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.driver import driver_of
from orchestrator.store.tables import (
    AlertRow,
    IncidentRow,
    ObservableRow,
    ReplayRow,
    RunKeyRow,
    RunRow,
    SourceDayRow,
)
from orchestrator.store.tables.observables import SubjectKind
from tests.harness.databases import START, opened

STATEMENTS = {**statements.ALL, "ADD_OBSERVABLE": ADD_OBSERVABLE}
WRITES = {
    "INSERT_ALERT": AlertRow,
    "INSERT_INCIDENT": IncidentRow,
    "INSERT_RUN": RunRow,
    "ADD_OBSERVABLE": ObservableRow,
    "REMEMBER_MESSAGE": ReplayRow,
    "COUNT_DELIVERIES": SourceDayRow,
    "CLAIM_KEY": RunKeyRow,
}
DIALECTS = (sqlite.dialect(), postgresql.asyncpg.dialect())
ROWS: tuple[tuple[str, SQLModel], ...] = (
    (
        "INSERT_ALERT",
        AlertRow(
            id="alert_1",
            source="edge",
            product="crowdsec",
            dedup_key="k\u00e4y",
            fingerprint="f",
            incident_id="inc_1",
            title="Title",
            severity=3,
            alert_class="scan",
            view={"a": [1, None, "\u00e4"]},
            raw=b"\x00body",
            raw_sha256="0",
            seen=2,
            received_at=START,
            last_seen_at=START + timedelta(microseconds=1),
        ),
    ),
    (
        "INSERT_INCIDENT",
        IncidentRow(
            id="inc_1",
            correlation_key="key",
            title="Title",
            severity=3,
            incomplete=1,
            opened_at=START,
            last_alert_at=START,
        ),
    ),
    (
        "INSERT_RUN",
        RunRow(
            id="run_1",
            playbook="look",
            version=2,
            plan_digest="d",
            incident_id="inc_1",
            alert_id="alert_1",
            source="edge",
            severity=3,
            status=RunStatus.DEFERRED,
            mode=Mode.DRY_RUN,
            once_key="k",
            inputs={"x": 1},
            started_by="source:edge",
            shadow_of="run_0",
            over_limit=4,
            error="why",
            created_at=START,
        ),
    ),
    (
        "ADD_OBSERVABLE",
        ObservableRow(
            subject="alert_1",
            type="address",
            value="198.18.0.1",
            kind=SubjectKind.ALERT,
            short="",
            role="remote",
            at=START,
        ),
    ),
)


@pytest.fixture
async def rt(tmp_path: Path, database: str | None) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, database) as [runtime]:
        yield runtime


def key_of(row: SQLModel) -> tuple[Any, ...]:
    table: Any = row.__table__  # type: ignore[attr-defined]
    return tuple(getattr(row, column.name) for column in table.primary_key)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_statement_writes_every_column_of_its_table(name: str, dialect: Any) -> None:
    table: Any = WRITES[name].__table__
    compiled = STATEMENTS[name].compiled(dialect)
    assert {column.name for column in table.columns} <= {
        parameter for parameter, _ in compiled.parameters
    }


@pytest.mark.parametrize("name", STATEMENTS)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_statement_is_compiled_once(name: str, dialect: Any) -> None:
    assert STATEMENTS[name].compiled(dialect) is STATEMENTS[name].compiled(dialect)


async def test_row_that_a_statement_writes_is_the_row_that_the_model_reads(rt: Runtime) -> None:
    async with rt.store.write() as session:
        driver = await driver_of(session)
        for name, row in ROWS:
            await STATEMENTS[name].run_all(driver, [values_of(row)])
    async with rt.store.read() as session:
        for _, row in ROWS:
            found = await session.get(type(row), key_of(row))
            assert found is not None
            assert values_of(found) == values_of(row)


async def test_row_that_the_model_writes_is_what_the_statements_read(rt: Runtime) -> None:
    async with rt.store.write() as session:
        session.add_all([type(row)(**values_of(row)) for _, row in ROWS])
    async with rt.store.reader() as driver:
        known = await statements.KNOWN_ALERTS.rows(
            driver, {"source": "edge", "keys": ["k\u00e4y", "no"]}
        )
        assert known == [("k\u00e4y", "alert_1", "inc_1")]
        found = await statements.OPEN_INCIDENTS.rows(driver, {"keys": ["key"], "since": START})
        assert found == [("key", "inc_1")]
        late = START + timedelta(microseconds=1)
        assert not await statements.OPEN_INCIDENTS.rows(driver, {"keys": ["key"], "since": late})
        ended = await statements.INCIDENTS_OF_FINGERPRINTS.rows(
            driver, {"source": "edge", "fingerprints": ["f"]}
        )
        assert ended == [("f", "inc_1")]


async def test_incident_that_alerts_join_counts_them(rt: Runtime) -> None:
    async with rt.store.write() as session:
        driver = await driver_of(session)
        incident = ROWS[1][1]
        await statements.INSERT_INCIDENT.run_all(driver, [values_of(incident)])
        joined = {"incident": "inc_1", "new": 2, "left_out": 1}
        later = START + timedelta(hours=1)
        for severity, at in ((5, START - timedelta(hours=1)), (1, later)):
            await statements.JOIN_INCIDENT.run_all(
                driver, [{**joined, "least_severity": severity, "at": at}]
            )
    async with rt.store.read() as session:
        row = await session.get(IncidentRow, "inc_1")
    assert row is not None
    assert (row.alerts, row.incomplete, row.severity) == (5, 3, 5)
    assert row.last_alert_at == later


async def test_key_is_claimed_once_until_its_time_is_over(rt: Runtime) -> None:
    async with rt.store.write() as session:
        driver = await driver_of(session)

        async def claim(run_id: str, minutes: int) -> list[Any]:
            at = START + timedelta(minutes=minutes)
            return await statements.CLAIM_KEY.rows(
                driver,
                {
                    "playbook": "p",
                    "once_key": "k",
                    "run_id": run_id,
                    "at": at,
                    "before": at - timedelta(minutes=10),
                },
            )

        assert await claim("run_1", 0) == [("run_1",)]
        assert await claim("run_2", 10) == []
        assert await claim("run_3", 11) == [("run_3",)]
        holder = await statements.KEY_HOLDER.rows(driver, {"playbook_name": "p", "key": "k"})
    assert holder == [("run_3", START + timedelta(minutes=11))]


async def test_deliveries_are_counted_by_source_and_day(rt: Runtime) -> None:
    later = START + timedelta(minutes=1)
    async with rt.store.write() as session:
        driver = await driver_of(session)
        await count_deliveries(driver, [("b", {"accepted"}, START), ("a", {"duplicates"}, START)])
        await count_deliveries(
            driver,
            [("b", {"accepted", "unreadable", "partial"}, later), ("b", {"accepted"}, later)],
        )
    async with rt.store.read() as session:
        found = await activity.by_source(session, START.date())
    assert found["a"] == activity.SourceActivity(duplicates=1, last_at=START)
    assert found["b"] == activity.SourceActivity(
        accepted=3, unreadable=1, partial=1, last_at=later, unreadable_at=later
    )
