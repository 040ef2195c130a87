"""Calls of every function of the store, with made-up arguments, that record each statement."""

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import importlib
import inspect
import itertools
import pkgutil
import sys
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, Union

from sqlalchemy import (
    JSON,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Table,
    TypeDecorator,
    event,
    true,
)
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from orchestrator import store
from orchestrator.domain.audit_batch import AuditEntry, Batch
from orchestrator.domain.audit_event import StoredEvent
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.observable import Extent, ObservableType, Target
from orchestrator.domain.run import WaitingForApproval
from orchestrator.store import tables
from orchestrator.store.queries.effects import LimitWindow
from orchestrator.store.queries.retention.rows import EVERY_PART
from orchestrator.store.search.filters import Order, TimeFilter
from orchestrator.store.session import Store
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.statement import Statement as FixedStatement
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    AssetRow,
    AuditBatchRow,
    AuditEventRow,
    ConnectionRow,
    IdempotencyRow,
    RunRow,
    StepRow,
)
from tests.harness.databases import START

NAME = "x"
_MOST = 300  # calls of one function
_FOLDER = Path(store.__file__).parent
_RUNS = ("execute", "scalar", "scalars", "get", "get_one", "stream", "refresh")
# They migrate, convert and repair, or are no queries.
_NOT_QUERIES = (
    "migrat",
    "session",
    "statement",
    "driver",
    "postgresql_dump",
    "sealed_rows",
    "sqlite",
    "dialect",
)


class Statement(NamedTuple):
    """A statement that a function of the store sent."""

    function: str
    text: str
    parameters: Any


class Place(NamedTuple):
    """A place in the store that sends a statement."""

    file: str
    line: int
    end: int


def query_modules() -> list[types.ModuleType]:
    """Return the modules of the store whose functions take a session."""
    found = pkgutil.walk_packages(store.__path__, f"{store.__name__}.")
    names = [each.name for each in found]
    return [
        importlib.import_module(name)
        for name in names
        if not any(part.startswith(_NOT_QUERIES) for part in name.split(".")[2:])
    ]


def query_functions() -> Iterator[Callable[..., Any]]:
    """Yield the functions of the store that take a session."""
    for module in query_modules():
        for function in vars(module).values():
            if (
                inspect.isfunction(function)
                and function.__module__ == module.__name__
                and not function.__name__.startswith("_")
                and "session" in inspect.signature(function).parameters
                and (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function))
            ):
                yield function


def sending_places() -> set[Place]:
    """Return the places in those modules at which a session is used."""
    places = set()
    for module in query_modules():
        file = str(module.__file__)
        for node in ast.walk(ast.parse(Path(file).read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _RUNS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "session"
            ):
                places.add(Place(file, node.lineno, node.end_lineno or node.lineno))
    return places


class Recorder:
    """What was sent, and from where."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.statements: dict[tuple[str, str], Statement] = {}
        self.lines: set[tuple[str, int]] = set()
        self.function = ""

    @contextmanager
    def on(self, of: Store) -> Iterator[None]:
        """Record what sessions of a store send."""

        def sent(_c: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
            row = parameters[0] if isinstance(parameters, list) else parameters
            key = (self.function, text)
            self.statements.setdefault(key, Statement(self.function, text, row))

        def compiled(statement: FixedStatement, dialect: Dialect) -> Any:
            found = compile_fixed(statement, dialect)
            self.note(self.function, found.sql, len(found.parameters))
            return found

        compile_fixed = FixedStatement.compiled
        original = {name: getattr(AsyncSession, name) for name in _RUNS}

        def noting(name: str) -> Callable[..., Any]:
            def call(session: AsyncSession, *args: Any, **kwargs: Any) -> Any:
                frame = sys._getframe(1)
                self.lines.add((frame.f_code.co_filename, frame.f_lineno))
                return original[name](session, *args, **kwargs)

            return call

        event.listen(of.engine.sync_engine, "before_cursor_execute", sent)
        for name in _RUNS:
            setattr(AsyncSession, name, noting(name))
        setattr(FixedStatement, "compiled", compiled)  # noqa: B010
        try:
            yield
        finally:
            for name, method in original.items():
                setattr(AsyncSession, name, method)
            setattr(FixedStatement, "compiled", compile_fixed)  # noqa: B010
            event.remove(of.engine.sync_engine, "before_cursor_execute", sent)

    def note(self, function: str, text: str, parameters: int) -> None:
        """Record a statement that is sent past SQLAlchemy. A plan needs no values."""
        self.statements.setdefault(
            (function, text), Statement(function, text, (None,) * parameters)
        )

    def unreached(self) -> list[str]:
        """Return the places that sent nothing."""
        return sorted(
            f"{Path(place.file).relative_to(_FOLDER)}:{place.line}"
            for place in sending_places()
            if not any(
                file == place.file and place.line <= line <= place.end for file, line in self.lines
            )
        )


class _Undone(Exception):
    """Ends a transaction without a commit."""


async def record_every_query(of: Store) -> Recorder:
    """Call every function of the store in all its variants, and return what was sent."""
    async with of.write() as session:
        for table in _tables():
            row = row_of(table)
            if isinstance(row, AuditBatchRow):
                row.record = _BATCH.model_dump()
            session.add(row)
            await session.flush()
    recorder = Recorder()
    with recorder.on(of):
        for function in query_functions():
            recorder.function = f"{function.__module__.rpartition('store.')[2]}.{function.__name__}"
            for arguments in itertools.islice(_calls(function), _MOST):
                # What fails afterwards was sent; what is never sent shows as unreached. A fixed
                # statement is recorded before its row, which is made up, lacks a column.
                with suppress(_Undone, SQLAlchemyError, SAWarning, TocsinError, KeyError):
                    async with of.write() as session:
                        await _consume(function(session, *arguments.args, **arguments.kwargs))
                        raise _Undone
    for name, statement in statements.ALL.items():  # of the webhook, which has no session
        found = statement.compiled(of.engine.dialect)
        recorder.note(f"statements.intake.{name}", found.sql, len(found.parameters))
    return recorder


async def _consume(result: Any) -> None:
    if isinstance(result, AsyncIterator):
        async for _ in result:
            pass
    else:
        await result


def _tables() -> list[type[SQLModel]]:
    """Return the tables, so that what a foreign key names comes first."""
    order = [table.name for table in SQLModel.metadata.sorted_tables]
    found = [each for each in vars(tables).values() if isinstance(each, type)]
    mapped = [each for each in found if issubclass(each, SQLModel)]
    return sorted(mapped, key=lambda table: order.index(str(table.__tablename__)))


def _calls(function: Callable[..., Any]) -> Iterator[inspect.BoundArguments]:
    """Yield the arguments after the session: every combination of the variants of each."""
    hints = typing.get_type_hints(function)
    signature = inspect.signature(function)
    given = _ARGUMENTS.get(f"{function.__module__.rpartition('.')[2]}.{function.__name__}", {})
    wanted = [
        each
        for each in signature.parameters.values()
        if each.name in given or (each.name != "session" and each.kind is not each.VAR_KEYWORD)
    ]
    signature = signature.replace(parameters=wanted)
    choices = [
        given[each.name] if each.name in given else _variants(hints[each.name], each.default)
        for each in wanted
    ]
    for values in itertools.product(*choices):
        bound = signature.bind_partial()
        for each, value in zip(wanted, values, strict=True):
            bound.arguments[each.name] = (value,) if each.kind is each.VAR_POSITIONAL else value
        yield bound


def _variants(hint: Any, default: Any) -> list[Any]:
    """Return a value of a type, and what else changes the statement."""
    value = example(hint)
    if isinstance(value, TimeFilter):  # empty, then each condition alone, then all
        kind = type(value)
        return [kind(), *(kind(**{name: getattr(value, name)}) for name in _fields(kind)), value]
    if isinstance(value, Order):
        return list(Order)
    found = [value]
    if value is True:
        found.append(False)
    if type(None) in typing.get_args(hint):
        found.append(None)
    if isinstance(default, tuple):
        found.append(default)
    return found


def _columns(table: type[SQLModel], **changed: Any) -> dict[str, Any]:
    row = row_of(table)
    return {name: getattr(row, name) for name in table.model_fields} | changed


def row_of(table: type[SQLModel]) -> SQLModel:
    """Return a row of made-up values: each text is `x`."""
    columns = typing.cast(Table, table.__table__).columns  # type: ignore[attr-defined]
    hints = {name: field.annotation for name, field in table.model_fields.items()}
    return table(**{column.key: _cell(column, hints[column.key]) for column in columns})


def _cell(column: Any, hint: Any) -> Any:
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    if isinstance(kind, JSON):
        origin = typing.get_origin(_present(hint)) or hint
        return [] if origin is list else {}
    if isinstance(kind, DateTime):
        return START
    if isinstance(kind, Date):
        return START.date()
    return example(hint)


def _present(hint: Any) -> Any:
    """Return a type without `None`."""
    if typing.get_origin(hint) in {Union, types.UnionType}:
        return next(each for each in typing.get_args(hint) if each is not type(None))
    return hint


def example(hint: Any) -> Any:  # noqa: C901 - a case for each kind of type
    """Return a value of a type."""
    hint = _present(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return example(arguments[0])
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is ...:
            return (example(arguments[0]),)
        return tuple(example(each) for each in arguments)
    if origin is typing.Literal:
        return arguments[0]
    if origin is not None and issubclass(origin, collections.abc.Mapping):
        return {}
    if origin is collections.abc.Callable:
        return lambda *_: NAME
    if origin is not None and issubclass(origin, collections.abc.Set):
        return {example(arguments[0])}
    if origin is not None and issubclass(origin, collections.abc.Iterable):
        return [example(arguments[0])]
    if isinstance(hint, TypeVar) or hint is SQLModel:
        return row_of(RunRow)
    if origin is type:
        return RunRow
    if origin is ColumnElement:
        return true()
    if hint in _VALUES:
        return _VALUES[hint]
    if issubclass(hint, Enum):
        return next(iter(hint))
    if issubclass(hint, SQLModel):
        return row_of(hint)
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        hints = typing.get_type_hints(hint)
        return hint(**{name: example(hints[name]) for name in _fields(hint)})
    raise TypeError(f"no example of {hint}")


def _fields(hint: Any) -> list[str]:
    return (
        [each.name for each in dataclasses.fields(hint)]
        if dataclasses.is_dataclass(hint)
        else list(hint._fields)
    )


_HASH = "0" * 64
_BATCH = Batch(
    number=1,
    first_seq=1,
    last_seq=1,
    root=_HASH,
    leaves=_HASH[:16],
    previous=_HASH,
    sealed_at=NAME,
    key_id=NAME,
    digest=_HASH,
    signature=_HASH * 2,
)
_VALUES: dict[Any, Any] = {
    str: NAME,
    bytes: b"x",
    Any: NAME,
    object: NAME,
    Extent: Extent(first=NAME, last=NAME),
    Target: Target(type=ObservableType.HOST, value=NAME),
    WaitingForApproval: WaitingForApproval(approval_id=NAME, expires_at=START),
    Batch: _BATCH,
    AuditEntry: AuditEntry({"seq": 2}, NAME),
    bool: True,
    int: 1,
    datetime: START,
    date: START.date(),
    timedelta: timedelta(hours=1),
}

_KEYS = {name: NAME for part in EVERY_PART for name in (part.parent, *part.keys)} | {"seq": 1}
_FILTERS = [LimitWindow(columns, START) for columns in ((), (("playbook", NAME),))]
_ARGUMENTS: dict[str, dict[str, list[Any]]] = {
    "audit_events.select_events": {"where": [AuditEventRow.subject == NAME]},
    "records.list_all": {"table": [ConnectionRow]},
    "records.remove_older": {"table": [IdempotencyRow]},
    "alerts.raw_of": {"alert": [AlertRow(**_columns(AlertRow, raw=b""))]},
    "batches.newest_like": {"asked": [_columns(ApprovalRow)]},
    "rows.find_unheard": {"asked": [_columns(ApprovalRow)]},
    "rows.quarantine": {"events": [[StoredEvent(2, {"id": NAME}, NAME)]]},
    "rows.sealed_rows": {"up_to": [2], "after": [0]},
    "rows.count": {"part": EVERY_PART},
    "rows.remove": {"part": EVERY_PART},
    "rows.page": {"part": EVERY_PART, "after": [None, _KEYS], "without": [None]},
    "effects.count_targets": {"windows": [[each] for each in _FILTERS] + [_FILTERS]},
    "effects.touched_networks": {"windows": [[each] for each in _FILTERS] + [_FILTERS]},
    "policy_inputs.upsert_assets": {
        "rows": [[AssetRow(**_columns(AssetRow, also=[("host", NAME)]))]]
    },
    "records.names_in_scope": {"scope": ["connection"]},
    "rejected.set_outcome": {"values": [{"seen": 2}]},
    "records.upsert": {"row": [row_of(RunRow), RunRow(**_columns(RunRow, id="y"))]},
    "steps.save": {"rows": [[_columns(StepRow)]]},
    "index.index_alerts": {
        "alerts": [
            [
                AlertRow(
                    **_columns(
                        AlertRow,
                        view={"observables": [{"type": "host", "value": NAME, "role": "local"}]},
                    )
                )
            ]
        ]
    },
}
