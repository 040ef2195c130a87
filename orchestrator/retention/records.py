"""The kinds of records that are archived, and their rows as lines of an archive."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.store.queries.retention import rows
from orchestrator.store.queries.retention.rows import Part


class RecordKind(StrEnum):
    """What is archived as a whole, and deleted as a whole."""

    RUN = "run"
    ALERT = "alert"
    INCIDENT = "incident"
    NOTIFICATION = "notification"
    DELIVERY = "delivery"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The tables of which such a record has rows; approvals come before what is about them."""
        return _PARTS[self]


_PARTS = {
    RecordKind.RUN: rows.RUN,
    RecordKind.ALERT: rows.ALERT,
    RecordKind.INCIDENT: rows.INCIDENT,
    RecordKind.NOTIFICATION: rows.NOTIFICATION,
    RecordKind.DELIVERY: rows.DELIVERY,
}

SHARED_BODY = ("alerts", "raw")
"""The column that another alert may hand on; `raw_sha256` says what it is."""


class Group(NamedTuple):
    """Records of one kind that are archived together, and deleted in one transaction."""

    kind: RecordKind
    ids: list[str]


class ArchivedRow(NamedTuple):
    """A row of a record."""

    record: str
    table: str
    values: dict[str, Any]
    """The columns as JSON has them."""
    time: datetime | None = None
    """When it was, for rows that say so."""


async def stored_rows(
    session: AsyncSession, group: Group, *, lock: bool = False
) -> AsyncIterator[ArchivedRow]:
    """Yield the rows of a group, a few at a time, in an order that is always the same.

    `lock`: they stay as they are until the transaction ends, and bodies that are shared are left
    out.
    """
    approvals: dict[str, str] = {}
    if group.kind is RecordKind.RUN:
        approvals = await rows.approvals_of(session, group.ids)
    for part in group.kind.parts:
        parents = sorted(approvals) if part.of_approvals else group.ids
        without = SHARED_BODY[1] if lock and part.name == SHARED_BODY[0] else None
        async for row in _pages(session, part, parents, without, lock=lock):
            parent = row[part.parent]
            record = approvals[parent] if part.of_approvals else parent
            values = {name: _plain(value) for name, value in row.items()}
            yield ArchivedRow(record, part.name, values, row[part.time] if part.time else None)


async def row_counts(session: AsyncSession, kind: RecordKind, ids: Sequence[str]) -> RowCounts:
    """Return how many rows records have: by record, and by table."""
    found = RowCounts(dict.fromkeys(ids, 0), {})
    approvals = await rows.approvals_of(session, ids) if kind is RecordKind.RUN else {}
    for part in kind.parts:
        parents = list(approvals) if part.of_approvals else ids
        for parent, number in (await rows.count(session, part, parents)).items():
            found.by_record[approvals[parent] if part.of_approvals else parent] += number
            found.by_table[part.name] = found.by_table.get(part.name, 0) + number
    return found


class RowCounts(NamedTuple):
    """Numbers of rows."""

    by_record: dict[str, int]
    by_table: dict[str, int]


class Fingerprints:
    """The digests of records, by what their rows say. A shared body is left out."""

    def __init__(self) -> None:
        """Begin without rows."""
        self._digests: dict[str, Any] = {}

    def add(self, row: ArchivedRow) -> None:
        """Take the next row of a record."""
        table, column = SHARED_BODY
        values = row.values
        if row.table == table:
            values = {name: value for name, value in values.items() if name != column}
        digest = self._digests.setdefault(row.record, hashlib.sha256())
        digest.update(encode({"table": row.table, "row": values}))

    def by_record(self) -> dict[str, bytes]:
        """Return the digest of each record that had a row."""
        return {record: digest.digest() for record, digest in self._digests.items()}


def encode(content: Mapping[str, Any]) -> bytes:
    """Return the one line that says this."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"


async def _pages(
    session: AsyncSession, part: Part, parents: Sequence[str], without: str | None, *, lock: bool
) -> AsyncIterator[dict[str, Any]]:
    after: dict[str, Any] | None = None
    while parents:
        found = await rows.page(session, part, parents, after, without=without, lock=lock)
        for row in found:
            yield row
        if len(found) < part.at_once:
            return
        after = found[-1]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
