"""A named statement: built from the tables, compiled once per database, run by the driver.

SQLAlchemy's ORM takes half a millisecond for what SQLite does in a few microseconds: it builds the
statement, looks for it in its cache, and wraps the rows. These statements skip that. Their SQL is
made from the same tables, with the same types, so that they write and read what a model does.

They take part in the transaction of their session. Changes of objects that the session has not
written yet are written before them, as before a query of the ORM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, JSON, ColumnElement, Dialect, String, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.util import identity_key
from sqlmodel import SQLModel

from orchestrator.store.statements.driver import Driver, Row, driver_of

POSTGRESQL = "postgresql"
Build = Callable[[str], Any]
"""Returns the statement for a database, by the name of its dialect."""
Processor = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement for one database: its SQL, what becomes of parameters, and of columns."""

    sql: str
    parameters: tuple[tuple[str, Processor | None], ...]
    constants: Mapping[str, Any]
    columns: tuple[Processor | None, ...]

    def bind(self, given: Mapping[str, Any]) -> Row:
        """Return the parameters as the driver takes them. Raise KeyError for a missing one."""
        constants = self.constants
        return tuple(
            [
                constants[name]
                if name in constants
                else given[name]
                if process is None
                else process(given[name])
                for name, process in self.parameters
            ]
        )

    def read(self, row: Sequence[Any]) -> Row:
        """Return a row as the ORM would."""
        return tuple(
            [
                value if process is None else process(value)
                for value, process in zip(row, self.columns, strict=True)
            ]
        )


class Statement:
    """One statement, for a session or for a driver that has none."""

    def __init__(self, name: str, build: Build, columns: Sequence[str] = ()) -> None:
        """Name a statement. `columns`: those that an INSERT writes; without any, all of them."""
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

    async def run(self, on: AsyncSession | Driver, given: Mapping[str, Any]) -> int:
        """Execute it, and return how many rows it wrote. Raise SQLAlchemy's DBAPIError."""
        driver = await _driver(on)
        compiled = self.compiled(driver.dialect)
        return await driver.execute(compiled.sql, compiled.bind(given))

    async def run_all(self, on: AsyncSession | Driver, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute it for each row, on PostgreSQL in one way to the server. Raise as `run`."""
        driver = await _driver(on)
        compiled = self.compiled(driver.dialect)
        if values := [compiled.bind(row) for row in rows]:
            await driver.execute_all(compiled.sql, values)

    async def rows(self, on: AsyncSession | Driver, given: Mapping[str, Any]) -> list[Row]:
        """Return the rows that it reads or writes. Raise as `run`."""
        driver = await _driver(on)
        compiled = self.compiled(driver.dialect)
        found = await driver.fetch(compiled.sql, compiled.bind(given))
        return [compiled.read(row) for row in found]

    async def raw_rows(self, on: AsyncSession | Driver, given: Mapping[str, Any]) -> list[Row]:
        """Return the rows as the driver gives them. Raise as `run`."""
        driver = await _driver(on)
        compiled = self.compiled(driver.dialect)
        return await driver.fetch(compiled.sql, compiled.bind(given))

    def _compile(self, dialect: Dialect) -> Compiled:
        statement = self.build(dialect.name)
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


def insert_into(table: type[Any], dialect: str) -> Any:
    """Return an INSERT that can say ON CONFLICT."""
    insert = postgresql.insert if dialect == POSTGRESQL else sqlite.insert
    return insert(table.__table__)


def one_of(column: Any, name: str, dialect: str) -> ColumnElement[bool]:
    """Return whether a text column has one of the values of a parameter, which is a list."""
    if dialect == POSTGRESQL:
        return column == any_(bindparam(name, type_=ARRAY(String)))  # type: ignore[no-any-return]
    values = func.json_each(bindparam(name, type_=JSON)).table_valued("value")
    return column.in_(select(values.c.value))  # type: ignore[no-any-return]


async def refresh_known(session: AsyncSession, table: type[SQLModel], key: str) -> None:
    """Read a row again after its statement, if the session has an object of it."""
    known = session.sync_session.identity_map
    if known and (found := known.get(identity_key(table, key))) is not None:
        await session.refresh(found)


async def _driver(on: AsyncSession | Driver) -> Driver:
    if isinstance(on, Driver):
        return on
    if on.dirty or on.new or on.deleted:
        await on.flush()
    return await driver_of(on)
