"""The statements of the hot path write and read what the models do, column by column, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import JSON, DateTime, Integer, LargeBinary, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from orchestrator.domain.containment import EffectState, LeaseEndReason, LeaseState
from orchestrator.domain.run import Mode, RunStatus, StepState
from orchestrator.store.authentic import MUST_BE_READ, RowRefused
from orchestrator.store.queries import effects as effect_queries
from orchestrator.store.search import index
from orchestrator.store.statements import containments, effects, events, runs, sealed, steps
from orchestrator.store.statements.statement import Statement
from orchestrator.store.tables import (
    AuditEventRow,
    ConnectionRow,
    ContainmentRow,
    EffectRow,
    KillSwitchRow,
    LeaseRow,
    ObservableRow,
    PlaybookRow,
    PolicyRow,
    RunRow,
    StepRow,
)
from tests.harness.databases import START, opened

Inserts = Callable[[frozenset[str]], Statement]
INSERTS: dict[str, tuple[type[SQLModel], Inserts]] = {
    "events": (AuditEventRow, lambda _: events.ADD_EVENT),
    "saved steps": (StepRow, steps.save_step),
    "begun steps": (StepRow, steps.begin_step),
    "intents": (EffectRow, effects.record_intent),
    "containments": (ContainmentRow, containments.create_containment),
    "leases": (LeaseRow, containments.register_lease),
    "observables": (ObservableRow, lambda _: index.ADD_OBSERVABLE),
}
ASSIGNED = {AuditEventRow: {"number"}}
"""Columns that the database fills."""
SEALED: dict[str, tuple[sealed.SealedRows[Any], type[SQLModel], dict[str, str]]] = {
    "policy": (sealed.NEWEST_POLICY, PolicyRow, {}),
    "kill switches": (sealed.KILL_SWITCHES, KillSwitchRow, {}),
    "connection": (sealed.CONNECTION, ConnectionRow, {"connection": "name"}),
    "playbook": (sealed.PLAYBOOK, PlaybookRow, {"playbook": "name", "of_version": "version"}),
}


def row_of(table: type[SQLModel], number: int = 1) -> dict[str, Any]:
    """Return a row in which every column has a value of its own."""
    columns = [
        column
        for column in table.__table__.columns
        if column.name not in ASSIGNED.get(table, set())
    ]
    return {
        column.name: _value(table, column, number * 100 + place)
        for place, column in enumerate(columns)
    }


def _value(table: type[SQLModel], column: Any, number: int) -> Any:
    annotation = table.model_fields[column.name].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            members = list(kind)
            return members[number % len(members)]
        if kind is bool:
            return number % 2 == 0
    match getattr(column.type, "impl_instance", column.type):
        case JSON():
            return {"a": [number, "ü", None], "b": {"c": True}}
        case DateTime():
            return START + timedelta(seconds=number, microseconds=number)
        case Integer():
            return number
        case LargeBinary():
            return bytes([number % 256])
        case _:
            return f"{column.name}-{number // 100}"


async def everything(session: AsyncSession, table: type[SQLModel]) -> list[dict[str, Any]]:
    """Return all rows as the model reads them."""
    session.expire_all()
    names = [column.name for column in table.__table__.columns]
    return [
        {name: getattr(row, name) for name in names if name not in ASSIGNED.get(table, set())}
        for row in await session.scalars(select(table))
    ]


async def stored(session: AsyncSession, table: type[SQLModel]) -> list[tuple[Any, ...]]:
    """Return all rows as the database has them."""
    names = [
        f'CAST("{column.name}" AS TEXT)'
        for column in table.__table__.columns
        if column.name not in ASSIGNED.get(table, set())
    ]
    found = await session.execute(text(f"SELECT {', '.join(names)} FROM {table.__tablename__}"))
    return [tuple(row) for row in found]


@pytest.mark.parametrize("name", INSERTS)
async def test_statement_writes_every_column_as_the_model_does(
    name: str, tmp_path: Path, database: str | None
) -> None:
    table, statement_of = INSERTS[name]
    row = row_of(table)
    statement = statement_of(frozenset(row))
    async with opened(tmp_path, database) as [rt]:
        by_statement: list[tuple[Any, ...]] = []
        with suppress(ZeroDivisionError):
            async with rt.store.write() as session:
                assert await statement.run(session, row) == 1
                assert await everything(session, table) == [row]
                by_statement += await stored(session, table)
                raise ZeroDivisionError
        async with rt.store.write() as session:
            session.add(table(**row))
            await session.flush()
            assert await stored(session, table) == by_statement


@pytest.mark.parametrize("name", INSERTS)
async def test_many_rows_are_written_as_one(
    name: str, tmp_path: Path, database: str | None
) -> None:
    table, statement_of = INSERTS[name]
    rows = [row_of(table, number) for number in (1, 2, 3)]
    async with opened(tmp_path, database) as [rt], rt.store.write() as session:
        await statement_of(frozenset(rows[0])).run_all(session, rows)
        await statement_of(frozenset(rows[0])).run_all(session, [])
        assert await everything(session, table) == rows


@pytest.mark.parametrize("name", INSERTS)
async def test_empty_columns_are_empty_in_the_database_as_the_model_leaves_them(
    name: str, tmp_path: Path, database: str | None
) -> None:
    table, statement_of = INSERTS[name]
    row = {
        column: None if table.__table__.columns[column].nullable else value
        for column, value in row_of(table).items()
    }
    async with opened(tmp_path, database) as [rt], rt.store.write() as session:
        assert await statement_of(frozenset(row)).run(session, row) == 1
        assert await everything(session, table) == [row]


async def test_columns_that_a_step_is_not_given_keep_their_value_within_an_attempt(
    tmp_path: Path, database: str | None
) -> None:
    whole = {**row_of(StepRow), "attempt": 2, "state": StepState.PLANNED}
    short = {
        name: whole[name] for name in ("run_id", "path", "kind", "state", "seq", "started_at")
    } | {"state": StepState.APPLIED, "result": None, "waiting_for": None}
    async with opened(tmp_path, database) as [rt], rt.store.write() as session:
        await steps.save_step(frozenset(whole)).run(session, whole)
        for attempt, kept in ((1, True), (2, True), (3, False)):
            row = {**short, "attempt": attempt}
            wrote = await steps.save_step(frozenset(row)).run(session, row)
            assert wrote == (attempt > 1)
            (found,) = await everything(session, StepRow)
            assert (found["verdict"] == whole["verdict"]) is kept
            assert found["state"] == ("planned" if attempt == 1 else "applied")


async def test_known_event_is_left_alone(tmp_path: Path, database: str | None) -> None:
    row = row_of(AuditEventRow)
    async with opened(tmp_path, database) as [rt], rt.store.write() as session:
        assert await events.ADD_EVENT.run(session, row) == 1
        assert await events.ADD_EVENT.run(session, {**row, "actor": "else"}) == 0
        assert await everything(session, AuditEventRow) == [row]


async def test_outcome_of_an_effect_reaches_the_object_that_the_session_has(
    tmp_path: Path, database: str | None
) -> None:
    row = {**row_of(EffectRow), "id": "e", "state": EffectState.INTENDED, "output": None}
    later = START + timedelta(hours=1)
    async with opened(tmp_path, database) as [rt], rt.store.write() as session:
        await effect_queries.record_intent(session, row)
        found = await session.get_one(EffectRow, "e")
        await effect_queries.set_outcome(session, "e", EffectState.APPLIED, later, {"a": 1})
        assert (found.state, found.ended_at, found.output) == ("applied", later, {"a": 1})
        await effect_queries.set_outcome(session, "e", EffectState.APPLIED, START)
        assert (found.ended_at, found.output) == (START, {"a": 1})
        await effect_queries.mark_verified(session, "e")
        assert found.state == "verified"
        await effect_queries.set_outcome(session, "e", EffectState.FAILED, later)
        await effect_queries.mark_verified(session, "e")
        assert found.state == "failed"


async def test_live_lease_ends_once(tmp_path: Path, database: str | None) -> None:
    row = {**row_of(LeaseRow), "id": "l", "state": LeaseState.LIVE}
    end = {
        "lease": "l",
        "new_end_reason": LeaseEndReason.EXPIRED,
        "new_ended_by": "system",
        "new_ended_at": START,
        "new_restored_by": None,
    }
    async with opened(tmp_path, database) as [rt], rt.store.write() as session:
        await containments.register_lease(frozenset(row)).run(session, row)
        assert await containments.END_LEASE.run(session, end) == 1
        assert await containments.END_LEASE.run(session, end) == 0
        (found,) = await everything(session, LeaseRow)
        assert (found["state"], found["end_reason"], found["ended_by"]) == (
            "ended",
            "expired",
            "system",
        )


def _run() -> RunRow:
    return RunRow(
        id="run_1",
        playbook="p",
        version=1,
        plan_digest="d",
        started_by="person:a",
        status=RunStatus.WAITING,
        mode=Mode.LIVE,
        created_at=START,
    )


async def test_run_is_moved_on_by_its_attempt_and_its_workflow_only(
    tmp_path: Path, database: str | None
) -> None:
    begin = {"run": "run_1", "of_attempt": 1, "by_execution": "first"}
    end = {
        "run": "run_1",
        "of_attempt": 1,
        "new_status": RunStatus.COMPLETED,
        "new_error": None,
        "new_ended_at": START,
    }
    async with opened(tmp_path, database) as [rt], rt.store.write() as session:
        session.add(_run())
        assert await runs.run_state(session, "run_1") == ("waiting", 1, None)
        assert await runs.run_state(session, "run_2") is None
        assert await runs.BEGIN_RUN.run(session, begin) == 1
        assert await runs.BEGIN_RUN.run(session, {**begin, "by_execution": "second"}) == 1
        assert await runs.run_state(session, "run_1") == ("running", 1, "first")
        assert await runs.END_RUN.run(session, {**end, "by_execution": "second"}) == 0
        assert await runs.END_RUN.run(session, {**end, "of_attempt": 2, "by_execution": None}) == 0
        assert await runs.END_RUN.run(session, {**end, "by_execution": None}) == 1
        assert await runs.run_state(session, "run_1") == ("completed", 1, "first")
        assert await runs.SET_RUN_STATUS.run(session, end) == 0


@pytest.mark.parametrize("name", SEALED)
async def test_sealed_row_reads_as_its_model_and_an_altered_one_is_refused(
    name: str, tmp_path: Path, database: str | None
) -> None:
    query, table, columns = SEALED[name]
    row = row_of(table)
    given = {parameter: row[column] for parameter, column in columns.items()}
    async with opened(tmp_path, database) as [rt]:
        async with rt.store.write() as session:
            session.add(table(**row))
        names = [column.name for column in table.__table__.columns]
        for _ in range(2):  # the second from what was verified
            async with rt.store.read() as session:
                (found,) = await query.read(session, given)
                (expected,) = await session.scalars(select(table))
                assert [getattr(found, each) for each in names] == [
                    getattr(expected, each) for each in names
                ]
        altered = next(
            column.name
            for column in reversed(table.__table__.columns)
            if isinstance(row[column.name], str) and column.name != "mac" and not column.primary_key
        )
        async with rt.store.write() as session:
            await session.execute(text(f"UPDATE {table.__tablename__} SET {altered} = 'altered'"))
        async with rt.store.read() as session:
            if table not in MUST_BE_READ:
                assert await query.read(session, given) == []
            else:
                with pytest.raises(RowRefused, match="was not written by Tocsin"):
                    await query.read(session, given)


async def test_changes_of_objects_are_written_before_a_statement(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt], rt.store.write() as session:
        run = _run()
        session.add(run)
        assert await runs.run_state(session, "run_1") is not None
        run.attempt = 7
        assert (await runs.run_state(session, "run_1") or (0, 0))[1] == 7


async def test_rollback_takes_back_what_a_statement_wrote(
    tmp_path: Path, database: str | None
) -> None:
    async with opened(tmp_path, database) as [rt]:
        with pytest.raises(ZeroDivisionError):
            async with rt.store.write() as session:
                await events.ADD_EVENT.run(session, row_of(AuditEventRow))
                raise ZeroDivisionError
        async with rt.store.read() as session:
            assert await everything(session, AuditEventRow) == []


async def test_error_of_the_driver_is_sqlalchemys_and_names_no_value(
    tmp_path: Path, database: str | None
) -> None:
    row = {**row_of(AuditEventRow), "actor": None, "subject": "SECRET"}
    async with opened(tmp_path, database) as [rt]:
        with pytest.raises(DBAPIError) as failed:
            async with rt.store.write() as session:
                await events.ADD_EVENT.run(session, row)
    assert "SECRET" not in str(failed.value)


async def test_missing_column_is_no_row() -> None:
    with pytest.raises(KeyError, match="actor"):
        row = row_of(AuditEventRow)
        del row["actor"]
        from sqlalchemy.dialects.sqlite.aiosqlite import dialect

        events.ADD_EVENT.compiled(dialect()).bind(row)
