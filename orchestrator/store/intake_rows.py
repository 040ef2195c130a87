"""Rows that the webhook writes: alerts with what they name, and counts of deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Any

from sqlmodel import SQLModel

from orchestrator.store.authentic import is_authentic
from orchestrator.store.search.index import ADD_OBSERVABLE, observables_of
from orchestrator.store.session import Store
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.driver import Driver
from orchestrator.store.tables import AlertRow, SourceRow

_SOURCE_COLUMNS = tuple(column.name for column in SourceRow.__table__.columns)  # type: ignore[attr-defined]
_COUNTS = ("accepted", "duplicates", "unreadable", "partial", "refused")


def values_of(row: SQLModel) -> dict[str, Any]:
    """Return the columns of a row by name."""
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}  # type: ignore[attr-defined]


async def read_source(store: Store, name: str) -> SourceRow | None:
    """Return a source that a process with the keys wrote; None for an unknown one."""
    async with store.reader() as driver:
        found = await statements.SOURCE.rows(driver, {"source": name})
    if found and store.authenticator is not None:
        row = SourceRow(**dict(zip(_SOURCE_COLUMNS, found[0], strict=True)))
        if is_authentic(row, store.authenticator):
            return row
    async with store.read() as session:  # which reports a row that another hand wrote
        return await session.get(SourceRow, name)


async def add_alerts(driver: Driver, rows: Sequence[AlertRow]) -> None:
    """Insert alerts, and index what they name."""
    await statements.INSERT_ALERT.run_all(driver, map(values_of, rows))
    await ADD_OBSERVABLE.run_all(driver, observables_of(rows))


async def count_deliveries(
    driver: Driver, deliveries: Iterable[tuple[str, AbstractSet[str], datetime]]
) -> None:
    """Count deliveries by source, each under its outcomes.

    The rows are written in one order, so that two processes never wait for each other.
    """
    rows: dict[tuple[str, date], dict[str, Any]] = defaultdict(lambda: dict.fromkeys(_COUNTS, 0))
    for source, outcomes, now in deliveries:
        row = rows[source, now.date()]
        for name in outcomes:
            row[name] += 1
        row |= {"source": source, "day": now.date(), "last_at": now}
        row["unreadable_at"] = now if "unreadable" in outcomes else row.get("unreadable_at")
    await statements.COUNT_DELIVERIES.run_all(driver, [rows[key] for key in sorted(rows)])
