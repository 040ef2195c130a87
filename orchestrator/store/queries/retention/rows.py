"""The rows of records as they are stored, sealed columns and tags included, and their removal.

They are read past the ORM: a row that is refused is archived as it is, not left out and deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, delete, func, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    DecisionRow,
    EffectRow,
    IncidentRow,
    LeaseRow,
    NotificationRow,
    ObservableRow,
    RejectedRow,
    RunKeyRow,
    RunRow,
    StepRow,
)


class Part(NamedTuple):
    """A table of which a record has rows."""

    table: type[SQLModel]
    parent: str
    """The column with the id of the record, or of its approval."""
    keys: tuple[str, ...]
    """The columns that order the rows of one parent."""
    time: str | None = None
    """The column that says when it was."""
    of_approvals: bool = False
    at_once: int = 500
    """How many rows are read at once: few of those with a body."""

    @property
    def name(self) -> str:
        """The name of the table."""
        return str(self.table.__tablename__)

    @property
    def columns(self) -> Any:
        """The columns of the table."""
        table: Table = self.table.__table__  # type: ignore[attr-defined]
        return table.c


RUN = (
    Part(RunRow, "id", (), "ended_at"),
    Part(RunKeyRow, "run_id", ("playbook", "once_key")),
    Part(StepRow, "run_id", ("path",)),
    Part(EffectRow, "run_id", ("seq", "id")),
    Part(LeaseRow, "run_id", ("id",)),
    Part(ObservableRow, "subject", ("type", "value")),
    Part(ApprovalRow, "run_id", ("id",)),
    Part(DecisionRow, "approval_id", ("person",), of_approvals=True),
    Part(NotificationRow, "about", ("id",), of_approvals=True),
    Part(ObservableRow, "subject", ("type", "value"), of_approvals=True),
)
ALERT = (
    Part(AlertRow, "id", (), "received_at", at_once=10),
    Part(ObservableRow, "subject", ("type", "value")),
)
INCIDENT = (Part(IncidentRow, "id", (), "last_alert_at"),)
NOTIFICATION = (Part(NotificationRow, "id", (), "created_at"),)
DELIVERY = (Part(RejectedRow, "id", (), "last_seen_at", at_once=10),)
EVERY_PART = (*RUN, *ALERT, *INCIDENT, *NOTIFICATION, *DELIVERY)


async def page(
    session: AsyncSession,
    part: Part,
    parents: Sequence[str],
    after: Mapping[str, Any] | None,
    *,
    without: str | None = None,
    lock: bool = False,
) -> list[dict[str, Any]]:
    """Return the next rows of these parents, in the order of parent and keys.

    `after`: the last row before. `without`: a column that is left out. `lock`:
    no other transaction changes them until this one ends.
    """
    columns = [each for each in part.columns if each.name != without]
    order = [part.columns[name] for name in (part.parent, *part.keys)]
    wanted = select(*columns).where(order[0].in_(parents))
    if after is not None:
        values = [literal(after[each.name], each.type) for each in order]
        wanted = wanted.where(tuple_(*order) > tuple_(*values))
    wanted = wanted.order_by(*order).limit(part.at_once)
    found = await session.execute(wanted.with_for_update() if lock else wanted)
    return [dict(row) for row in found.mappings()]


async def count(session: AsyncSession, part: Part, parents: Sequence[str]) -> dict[str, int]:
    """Return how many rows each of these parents has; one without rows is left out."""
    parent = part.columns[part.parent]
    counted = select(parent, func.count()).where(parent.in_(parents)).group_by(parent)
    return {row[0]: int(row[1]) for row in await session.execute(counted)}


async def approvals_of(session: AsyncSession, run_ids: Sequence[str]) -> dict[str, str]:
    """Return the approvals of runs: the run of each by its id."""
    wanted = select(col(ApprovalRow.id), col(ApprovalRow.run_id))
    rows = await session.execute(wanted.where(col(ApprovalRow.run_id).in_(run_ids)))
    return {row[0]: row[1] for row in rows}


async def remove(session: AsyncSession, part: Part, parents: Sequence[str]) -> int:
    """Delete the rows of these parents. Return how many there were."""
    gone = delete(part.table).where(part.columns[part.parent].in_(parents))
    result = await session.execute(gone, execution_options={"synchronize_session": False})
    return int(getattr(result, "rowcount", 0))


async def hand_bodies_on(session: AsyncSession, alert_ids: Sequence[str]) -> None:
    """Give the body of alerts that are about to go to another one that was sent in the same body.

    Alerts of one body share it: it is in the row of one of them.
    """
    holder, other = aliased(AlertRow), aliased(AlertRow)
    holds = (col(holder.id).in_(alert_ids), func.length(col(holder.raw)) > 0)
    shared = select(col(holder.raw_sha256)).where(*holds, col(holder.raw_sha256) != "")
    heirs = select(func.min(col(other.id))).where(
        col(other.raw_sha256).in_(shared),
        col(other.id).not_in(alert_ids),
        func.length(col(other.raw)) == 0,
    )
    body = select(col(holder.raw)).where(*holds, col(holder.raw_sha256) == AlertRow.raw_sha256)
    await session.execute(
        update(AlertRow)
        .where(col(AlertRow.id).in_(heirs.group_by(col(other.raw_sha256))))
        .values(raw=body.limit(1).scalar_subquery())
        .execution_options(synchronize_session=False)
    )
