"""The connection that runs fixed statements: SQLite's own, or SQLAlchemy's to PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from orchestrator.store.sqlite_event_loop import EventLoopConnection

R = TypeVar("R")
Row = tuple[Any, ...]
_DRIVER = "driver of the transaction"


class Driver:
    """A connection that runs fixed statements: that of a transaction, or of a reader.

    SQLite is called past SQLAlchemy, whose path costs many times what the statement does.
    PostgreSQL is called by SQLAlchemy's adapter, which begins the transaction and names errors.
    Every method raises SQLAlchemy's DBAPIError, without the values of the statement.
    """

    def __init__(self, dialect: Dialect, connection: EventLoopConnection | AsyncConnection) -> None:
        self.dialect = dialect
        self._connection = connection

    async def execute(self, sql: str, values: Row) -> int:
        """Run a statement. Return how many rows it wrote."""
        connection = self._connection
        if isinstance(connection, AsyncConnection):
            return (await connection.exec_driver_sql(sql, values)).rowcount
        return (await self._sqlite(sql, connection.cursor().execute(sql, values))).rowcount

    async def execute_all(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement once for each row."""
        connection = self._connection
        if isinstance(connection, AsyncConnection):
            await connection.exec_driver_sql(sql, list(rows))
        else:
            await self._sqlite(sql, connection.executemany(sql, rows))

    async def fetch(self, sql: str, values: Row) -> list[Row]:
        """Run a statement. Return its rows."""
        connection = self._connection
        if isinstance(connection, AsyncConnection):
            return [tuple(row) for row in await connection.exec_driver_sql(sql, values)]
        return await self._sqlite(sql, connection.fetch(sql, values))

    async def _sqlite(self, sql: str, result: Awaitable[R]) -> R:
        try:
            return await result
        except sqlite3.Error as error:
            raise DBAPIError.instance(
                sql, None, error, sqlite3.Error, hide_parameters=True, dialect=self.dialect
            ) from error


async def driver_of(session: AsyncSession) -> Driver:
    """Return the driver of a session's transaction, for statements that are part of it."""
    transaction = session.sync_session.get_transaction()
    known: tuple[Any, Driver] | None = session.info.get(_DRIVER)
    if known is not None and transaction is not None and known[0] is transaction:
        return known[1]
    connection: Any = await session.connection()
    dialect = connection.dialect
    if dialect.name == "sqlite":
        connection = (await connection.get_raw_connection()).driver_connection
    driver = Driver(dialect, connection)
    session.info[_DRIVER] = (session.sync_session.get_transaction(), driver)
    return driver
