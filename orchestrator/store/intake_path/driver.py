"""Fixed statements on the driver's own connection: compiled once for each database.

A statement of SQLAlchemy costs many times what the database needs for it: it is composed, looked up
in a cache and passed between greenlets. What the webhook runs for each alert is compiled from the
tables at its first use, and then only its text and the conversions of its columns are used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import ARRAY, JSON, ColumnElement, String, any_, bindparam, func, select, text
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.store.session import Store
from orchestrator.store.sqlite_event_loop import EventLoopConnection

Row = tuple[Any, ...]
Build = Callable[[str], Any]
"""Returns the statement for a dialect, by its name."""
POSTGRESQL = "postgresql"
_Convert = Callable[[Any], Any]


class StatementFailed(SQLAlchemyError):
    """A fixed statement failed. The text names the driver's error, without values."""


@dataclass(frozen=True, slots=True)
class DriverText:
    """The text of a statement for one database, with the conversions of its values."""

    text: str
    names: tuple[str, ...]
    """The parameters in their order."""
    fixed: Mapping[str, Any]
    """The values of those that are part of the statement."""
    binds: tuple[_Convert | None, ...]
    results: tuple[_Convert | None, ...]

    def parameters(self, values: Mapping[str, Any]) -> Row:
        """Return the parameters as the driver takes them. Raise KeyError for a missing one."""
        return tuple(
            [
                value if convert is None else convert(value)
                for name, convert in zip(self.names, self.binds, strict=True)
                for value in (self.fixed[name] if name in self.fixed else values[name],)
            ]
        )

    def row(self, found: Iterable[Any]) -> Row:
        """Return a row with the values that the tables' columns have."""
        return tuple(
            [
                value if convert is None else convert(value)
                for value, convert in zip(found, self.results, strict=True)
            ]
        )


class DriverStatement:
    """A statement with a text for each database."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._compiled: dict[str, DriverText] = {}

    def on(self, dialect: Dialect) -> DriverText:
        """Return the text for a database."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> DriverText:
        statement = self._build(dialect.name)
        compiled = statement.compile(dialect=dialect)
        names = tuple(compiled.positiontup or ())
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in names]
        returned = statement.selected_columns if statement.is_select else statement.exported_columns
        found = [column.type.dialect_impl(dialect) for column in returned]
        return DriverText(
            str(compiled),
            names,
            {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
            tuple(type_.bind_processor(dialect) for type_ in types),
            tuple(type_.result_processor(dialect, None) for type_ in found),
        )


def one_of(column: Any, name: str, dialect: str) -> ColumnElement[bool]:
    """Return whether a text column has one of the values of a parameter, which is a list."""
    if dialect == POSTGRESQL:
        return column == any_(bindparam(name, type_=ARRAY(String)))  # type: ignore[no-any-return]
    values = func.json_each(bindparam(name, type_=JSON)).table_valued("value")
    return column.in_(select(values.c.value))  # type: ignore[no-any-return]


class Driver:
    """A connection that runs fixed statements: that of a transaction, or of a reader."""

    def __init__(
        self, dialect: Dialect, connection: EventLoopConnection | asyncpg.Connection
    ) -> None:
        self._dialect, self._connection = dialect, connection

    async def fetch(self, statement: DriverStatement, **values: Any) -> list[Row]:
        """Run a statement and return its rows. Raise StatementFailed."""
        compiled = statement.on(self._dialect)
        try:
            found = await self._fetch(compiled.text, compiled.parameters(values))
        except (sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StatementFailed(type(error).__name__) from None
        return [compiled.row(row) for row in found]

    async def run(self, statement: DriverStatement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run a statement once for each row. Raise StatementFailed."""
        compiled = statement.on(self._dialect)
        parameters = [compiled.parameters(row) for row in rows]
        if not parameters:
            return
        try:
            await self._connection.executemany(compiled.text, parameters)
        except (sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StatementFailed(type(error).__name__) from None

    async def _fetch(self, text: str, parameters: Row) -> Iterable[Iterable[Any]]:
        if isinstance(self._connection, EventLoopConnection):
            return await self._connection.fetch(text, parameters)
        found: list[Iterable[Any]] = await self._connection.fetch(text, *parameters)
        return found


async def driver_of(session: AsyncSession) -> Driver:
    """Return the driver of a session's transaction, for statements that are part of it."""
    connection = await session.connection()
    raw: Any = (await connection.get_raw_connection()).driver_connection
    if not isinstance(raw, EventLoopConnection) and not raw.is_in_transaction():
        await session.execute(text("SELECT 1"))  # SQLAlchemy begins with its first statement
    return Driver(connection.dialect, raw)


@asynccontextmanager
async def reading(store: Store) -> AsyncIterator[Driver]:
    """Open a driver for reading; each statement sees what is committed by then."""
    if store.sqlite:
        yield Driver(store.engine.dialect, await store.sqlite_reader())
        return
    async with store.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        yield Driver(connection.dialect, raw)
