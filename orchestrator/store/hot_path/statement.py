"""A named statement: built from the tables, compiled once per database, run by the driver.

SQLAlchemy's ORM takes half a millisecond for what SQLite does in a few microseconds: it builds the
statement, looks for it in its cache, and wraps the rows. These statements skip that. Their SQL is
made from the same tables, with the same types, so that they write and read what a model does.

They take part in the transaction of their session. Changes of objects that the session has not
written yet are written before them, as before a query of the ORM.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.util import identity_key
from sqlmodel import SQLModel

from orchestrator.store.sqlite_event_loop import EventLoopConnection

Insert = Callable[[Any], Any]
"""INSERT with ON CONFLICT of a database: `sqlite.insert` or `postgresql.insert`."""
Build = Callable[[Insert], Executable]
Processor = Callable[[Any], Any]
_DRIVER = "driver of the transaction"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement for one database: its SQL, what becomes of parameters, and of columns."""

    sql: str
    parameters: tuple[tuple[str, Processor | None], ...]
    constants: Mapping[str, Any]
    columns: tuple[Processor | None, ...]

    def bind(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the parameters as the driver takes them. Raise KeyError for a missing one."""
        constants = self.constants
        return tuple(
            constants[name]
            if name in constants
            else given[name]
            if process is None
            else process(given[name])
            for name, process in self.parameters
        )

    def read(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return a row as the ORM would."""
        return tuple(
            value if process is None else process(value)
            for value, process in zip(row, self.columns, strict=True)
        )


class Statement:
    """One statement of the hot path."""

    def __init__(self, name: str, build: Build, columns: Sequence[str] = ()) -> None:
        """Name a statement. `columns`: those that an INSERT writes, as its parameters."""
        self.name = name
        self.build = build
        self._columns = tuple(columns)
        self._compiled: dict[str, Compiled] = {}

    def __repr__(self) -> str:
        return f"Statement({self.name})"

    def compiled(self, dialect: Dialect) -> Compiled:
        """Return the statement for a database."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    async def run(self, session: AsyncSession, given: Mapping[str, Any]) -> int:
        """Execute it, and return how many rows it wrote. Raise SQLAlchemy's DBAPIError."""
        return (await self._execute(session, given, fetch=False))[0]

    async def run_all(self, session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each row, on PostgreSQL in one way to the server."""
        if session.get_bind().dialect.name != "postgresql":
            for row in rows:
                await self.run(session, row)
        elif rows:
            await _flush(session)
            compiled = self.compiled(session.get_bind().dialect)
            values = [compiled.bind(row) for row in rows]
            await (await session.connection()).exec_driver_sql(compiled.sql, values)

    async def rows(self, session: AsyncSession, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return the rows that it reads. Raise SQLAlchemy's DBAPIError."""
        compiled = self.compiled(session.get_bind().dialect)
        return [compiled.read(row) for row in await self.raw_rows(session, given)]

    async def raw_rows(
        self, session: AsyncSession, given: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Return the rows as the driver gives them."""
        return (await self._execute(session, given, fetch=True))[1]

    async def _execute(
        self, session: AsyncSession, given: Mapping[str, Any], *, fetch: bool
    ) -> tuple[int, list[tuple[Any, ...]]]:
        await _flush(session)
        dialect = session.get_bind().dialect
        compiled = self.compiled(dialect)
        values = compiled.bind(given)
        if dialect.name == "postgresql":
            # By SQLAlchemy's adapter, which knows whether the transaction has begun.
            connection = await session.connection()
            result = await connection.exec_driver_sql(compiled.sql, values)
            return result.rowcount, [tuple(row) for row in result] if fetch else []
        driver = await sqlite_driver(session)
        try:
            cursor = await driver.cursor().execute(compiled.sql, values)
            rows = await cursor.fetchall() if fetch else []
        except sqlite3.Error as error:
            raise DBAPIError.instance(
                compiled.sql, None, error, sqlite3.Error, hide_parameters=True, dialect=dialect
            ) from error
        return cursor.rowcount, rows

    def _compile(self, dialect: Dialect) -> Compiled:
        insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        statement: Any = self.build(insert)
        made: Any = statement.compile(
            dialect=dialect, column_keys=list(self._columns) if self._columns else None
        )
        types = {name: bind.type.dialect_impl(dialect) for name, bind in made.binds.items()}
        processors = {name: type_.bind_processor(dialect) for name, type_ in types.items()}
        required = {name for name, bind in made.binds.items() if bind.required}
        fixed = {name: made.params[name] for name in made.positiontup or () if name not in required}
        # Columns that are not given have the default of their model.
        fixed |= {column.key: column.default.arg for column in made.insert_prefetch}
        constants = {
            name: process(value) if (process := processors[name]) else value
            for name, value in fixed.items()
        }
        returned = getattr(statement, "exported_columns", ())
        return Compiled(
            str(made),
            tuple((name, processors[name]) for name in made.positiontup or ()),
            constants,
            tuple(
                column.type.dialect_impl(dialect).result_processor(dialect, None)
                for column in returned
            ),
        )


async def _flush(session: AsyncSession) -> None:
    if session.dirty or session.new or session.deleted:
        await session.flush()


async def refresh_known(session: AsyncSession, table: type[SQLModel], key: str) -> None:
    """Read a row again after its statement, if the session has an object of it."""
    known = session.sync_session.identity_map
    if known and (found := known.get(identity_key(table, key))) is not None:
        await session.refresh(found)


async def sqlite_driver(session: AsyncSession) -> EventLoopConnection:
    """Return the connection of the session's transaction."""
    transaction = session.sync_session.get_transaction()
    known: tuple[Any, EventLoopConnection] | None = session.info.get(_DRIVER)
    if known is not None and transaction is not None and known[0] is transaction:
        return known[1]
    connection = await session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    session.info[_DRIVER] = (session.sync_session.get_transaction(), driver)
    return driver  # type: ignore[no-any-return]
