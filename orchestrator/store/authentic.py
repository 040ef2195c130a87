"""Authentic rows: each carries a tag of its content, which only a process with the keys makes.

A row that another hand wrote or changed is refused when it is loaded: it is as if it were not
there, or, where that would permit more, the query fails. The store reports it.

Statements that write past the ORM (`update(Table)`) leave the tag as it is: use them on columns of
`UNSEALED` only. Queries of single columns are not checked: decide on whole rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from sqlalchemy import event, inspect, select
from sqlalchemy.engine import FrozenResult
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session, object_session
from sqlmodel import SQLModel

from orchestrator.crypto.mac import Authenticator
from orchestrator.domain.errors import Halted
from orchestrator.store.tables import (
    ApprovalRow,
    AssetRow,
    ConnectionRow,
    ContactRow,
    DecisionRow,
    IdentityRow,
    KeyRow,
    KillSwitchRow,
    PersonRow,
    PlaybookRow,
    PolicyRow,
    SignatureRow,
    SigningKeyRow,
    SourceRow,
)

AUTHENTICATOR: Final = "authenticator"
REFUSED: Final = "refused rows"
VERIFIED: Final = "verified rows"
"""Keys of `Session.info`."""

UNSEALED: dict[type[SQLModel], frozenset[str]] = {
    PersonRow: frozenset(),
    IdentityRow: frozenset(),
    KeyRow: frozenset(),
    ApprovalRow: frozenset(),
    DecisionRow: frozenset(),
    PolicyRow: frozenset(),
    KillSwitchRow: frozenset(),
    ConnectionRow: frozenset({"releases"}),
    SourceRow: frozenset(),
    ContactRow: frozenset(),
    PlaybookRow: frozenset(),
    SigningKeyRow: frozenset(),
    SignatureRow: frozenset(),
    AssetRow: frozenset(),
}
"""The tables whose rows carry a tag, and the columns that it does not cover."""

MUST_BE_READ = (PolicyRow, KillSwitchRow)
"""Tables of which a missing row permits more: a query that meets a refused one fails."""

_FORM = 1


class RowRefused(Halted):
    """A row was not written by Tocsin, and the query cannot do without it."""


def seal(row: SQLModel, authenticator: Authenticator) -> None:
    """Give a row the tag of its content."""
    setattr(row, "mac", authenticator.tag(message_of(row)))  # noqa: B010 - only these tables have it


def sealed_values(session: AsyncSession, row: SQLModel) -> dict[str, Any]:
    """Return the columns of a row with its tag, for a statement that writes past the ORM."""
    seal(row, _authenticator(session.sync_session))
    return {column.name: getattr(row, column.name) for column in row.__table__.columns}  # type: ignore[attr-defined]


def is_authentic(row: SQLModel, authenticator: Authenticator) -> bool:
    """Return whether the row is as a process with the keys wrote it."""
    return authenticator.verifies(getattr(row, "mac"), message_of(row))  # noqa: B009


def message_of(row: SQLModel) -> bytes:
    """Return what the tag covers: the form, the table, and each column with its name."""
    left_out = UNSEALED[type(row)] | {"mac"}
    columns = {
        column.name: _plain(getattr(row, column.name))
        for column in row.__table__.columns  # type: ignore[attr-defined]
        if column.name not in left_out
    }
    content = [_FORM, row.__tablename__, columns]
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def name_of(row: SQLModel) -> str:
    """Return table and primary key, such as `api_keys 0123`."""
    key = inspect(type(row)).primary_key_from_instance(row)
    return f"{row.__tablename__} {'/'.join(map(str, key))}"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value.hex() if isinstance(value, bytes) else value


def _authenticator(session: Session | None) -> Authenticator:
    found = session.info.get(AUTHENTICATOR) if session is not None else None
    if not isinstance(found, Authenticator):
        raise RowRefused("the database was opened without the keys of its rows; use `open_runtime`")
    return found


def _before_write(_mapper: Any, _connection: Any, row: SQLModel) -> None:
    seal(row, _authenticator(object_session(row)))


for _table in UNSEALED:
    event.listen(_table, "before_insert", _before_write)
    event.listen(_table, "before_update", _before_write)


@event.listens_for(Session, "do_orm_execute")
def _check_loaded(state: ORMExecuteState) -> Any:
    """Leave out the rows of a query that are not authentic, or fail."""
    if not state.is_select or not any(mapper.class_ in UNSEALED for mapper in state.all_mappers):
        return None
    frozen = state.invoke_statement().freeze()
    session = state.session
    authenticator = _authenticator(session)
    frozen.data = list(_authentic(frozen, session, authenticator))
    return frozen()


def _authentic(
    frozen: FrozenResult[Any], session: Session, authenticator: Authenticator
) -> Iterator[Any]:
    for item in frozen.data:
        values = (item,) if isinstance(item, SQLModel) else item
        refused = [
            type(value) in UNSEALED and not _checked(value, session, authenticator)
            for value in values
        ]
        if not any(refused):
            yield item
        elif not refused[0]:  # an outer join: the row it is about is authentic
            yield tuple(None if bad else value for bad, value in zip(refused, values, strict=True))


def _checked(row: SQLModel, session: Session, authenticator: Authenticator) -> bool:
    if inspect(row).modified or is_authentic(row, authenticator):
        return True
    session.expunge(row)
    return _refuse(row, session)


def refuse_unless_authentic(row: SQLModel, session: Session) -> bool:
    """Return whether a row that was read past the ORM is authentic. Raise RowRefused as a query."""
    return is_authentic(row, _authenticator(session)) or _refuse(row, session)


def refuse(row: SQLModel, session: Session) -> None:
    """Note a row whose tag is right, and which is an older copy. Raise RowRefused as a query."""
    _refuse(row, session)


def refuse_missing(name: str, session: Session) -> NoReturn:
    """Note a row that is not there and no query can do without. Raise RowRefused."""
    session.info.setdefault(REFUSED, {})[name] = "missing"
    raise RowRefused(
        f"the row {name} was deleted past Tocsin, or an older one was put back, so that nothing is "
        "changed; find out who writes to the database, then restore the row, or save it again"
    )


def is_key_accepted(row: SQLModel, session: Session) -> bool:
    """Return whether the key of a row that was authentic before is not retired since."""
    return _authenticator(session).accepts_key_of(getattr(row, "mac"))  # noqa: B009


def _refuse(row: SQLModel, session: Session) -> bool:
    """Note a refused row, and return False. Raise RowRefused where a query needs it."""
    session.info.setdefault(REFUSED, {})[name_of(row)] = getattr(row, "mac")  # noqa: B009
    if isinstance(row, MUST_BE_READ):
        raise RowRefused(
            f"the row {name_of(row)} was not written by Tocsin, so that nothing is changed; find "
            "out who writes to the database, then restore the row, or delete it and save it again"
        )
    return False


async def list_refused(session: AsyncSession) -> list[str]:
    """Return every row of the database that another hand wrote, by table and primary key."""
    for table in UNSEALED:
        with suppress(RowRefused):
            await session.execute(select(table))
    return sorted(session.info.get(REFUSED, {}))
