"""Sealed rows that every change depends on: read each time, verified once for each content.

A row is the same as before only when every column is, its tag included: what was verified of it
still holds then, until the key of the tag is retired. The rows that are returned belong to no
session; change none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from orchestrator.store.authentic import VERIFIED, is_key_accepted, refuse_unless_authentic
from orchestrator.store.statements.statement import Statement
from orchestrator.store.tables import ConnectionRow, KillSwitchRow, PlaybookRow, PolicyRow

R = TypeVar("R", bound=SQLModel)

_MOST = 512
"""Rows of a process that are kept as verified."""


class SealedRows(Generic[R]):
    """A query of whole rows of one table."""

    def __init__(self, table: type[R], narrow: Callable[[Any, Any], Any]) -> None:
        """Select all columns. `narrow`: the rest of the query, from the SELECT and the columns."""
        rows: Any = table.__table__  # type: ignore[attr-defined]
        self._table = table
        self._names = [column.name for column in rows.columns]
        name = f"read {table.__tablename__}"
        self.statement = Statement(name, lambda _: narrow(select(rows), rows.c))

    async def read(self, session: AsyncSession, given: Mapping[str, Any]) -> list[R]:
        """Return the authentic rows. Raise RowRefused as a query of the ORM does."""
        verified: dict[Any, R] = session.info[VERIFIED]
        found: list[R] = []
        for raw in await self.statement.raw_rows(session, given):
            content = (self._table, repr(raw))  # PostgreSQL's driver has parsed the JSON in it
            row = verified.get(content)
            if row is None or not is_key_accepted(row, session.sync_session):
                row = self._row(session, raw)
                if not refuse_unless_authentic(row, session.sync_session):
                    continue
                if len(verified) >= _MOST:
                    verified.clear()
                verified[content] = row
            found.append(row)
        return found

    def _row(self, session: AsyncSession, raw: tuple[Any, ...]) -> R:
        values = self.statement.compiled(session.get_bind().dialect).read(raw)
        return self._table(**dict(zip(self._names, values, strict=True)))


NEWEST_POLICY = SealedRows(
    PolicyRow, lambda query, columns: query.order_by(columns.version.desc()).limit(1)
)
KILL_SWITCHES = SealedRows(KillSwitchRow, lambda query, _: query)
CONNECTION = SealedRows(
    ConnectionRow, lambda query, columns: query.where(columns.name == bindparam("connection"))
)

PLAYBOOK = SealedRows(
    PlaybookRow,
    lambda query, columns: query.where(
        columns.name == bindparam("playbook"), columns.version == bindparam("of_version")
    ),
)


async def newest_policy(session: AsyncSession) -> PolicyRow | None:
    """Return the policy in force."""
    found = await NEWEST_POLICY.read(session, {})
    return found[0] if found else None


async def kill_switches(session: AsyncSession) -> list[KillSwitchRow]:
    """Return the engaged kill switches."""
    return await KILL_SWITCHES.read(session, {})


async def connection(session: AsyncSession, name: str) -> ConnectionRow | None:
    """Return a connection."""
    found = await CONNECTION.read(session, {"connection": name})
    return found[0] if found else None


async def playbook_version(session: AsyncSession, name: str, version: int) -> PlaybookRow | None:
    """Return a published version of a playbook."""
    found = await PLAYBOOK.read(session, {"playbook": name, "of_version": version})
    return found[0] if found else None
