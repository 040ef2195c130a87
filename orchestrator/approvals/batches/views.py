"""Batches of pending approvals, listed and shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.briefing.examples import EXAMPLE_DIGEST
from orchestrator.briefing.load import waits_for
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ApprovalKind
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import approvals
from orchestrator.store.queries.approvals import batches
from orchestrator.store.search.filters import ApprovalFilter, Order
from orchestrator.store.search.selection import MOST, SHOWN
from orchestrator.store.tables import ApprovalRow, RunRow

EVERY_APPROVAL = ApprovalFilter()
_ITEM: dict[str, Any] = {
    "id": "apr_1f0c",
    "digest": EXAMPLE_DIGEST,
    "question": "Block 198.51.100.7?",
    "targets": [{"type": "address", "value": "198.51.100.7"}],
    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "severity": 4,
    "mine": True,
    "created_at": "2026-01-01T12:00:01Z",
    "expires_at": "2026-01-01T12:15:01Z",
}


class BatchItemView(Frozen):
    """A pending approval of a batch. `GET /v1/approvals/{id}` shows all that it covers."""

    model_config = ConfigDict(json_schema_extra={"example": _ITEM})

    id: str
    digest: str = Field(description="Send it with the id to decide exactly this approval.")
    question: str
    targets: tuple[dict[str, Any], ...] = Field(description="What its changes are about.")
    run_id: str
    severity: int
    mine: bool = Field(description="Whether it waits for your decision.")
    created_at: datetime
    expires_at: datetime


class ApprovalBatchView(Frozen):
    """The pending approvals of one playbook version, step, source and time."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "bat_1f0c",
                "count": 60,
                "question": "Block 198.51.100.7?",
                "playbook": "c2-beacon-containment",
                "version": 3,
                "path": "contain",
                "source": "edge-ids",
                "kind": "change",
                "by": "soc-leads",
                "quorum": 1,
                "level": 0,
                "severity": 4,
                "items": [_ITEM],
                "created_at": "2026-01-01T12:00:01Z",
                "expires_at": "2026-01-01T12:15:01Z",
            }
        }
    )

    id: str
    count: int = Field(description="How many approvals are pending, or fit the list's conditions.")
    question: str = Field(description="Of the most severe approval that is pending.")
    playbook: str
    version: int
    path: str
    source: str | None
    kind: ApprovalKind
    by: str | None = Field(description="The group that may decide; null: every approver.")
    quorum: int
    level: int
    severity: int = Field(description="The highest of its approvals.")
    items: tuple[BatchItemView, ...] = Field(
        description=f"In a list the first {SHOWN} pending ones; otherwise all of them."
    )
    created_at: datetime
    expires_at: datetime = Field(description="When the first of its approvals expires.")


async def list_batches(
    rt: Runtime,
    wanted: ApprovalFilter = EVERY_APPROVAL,
    *,
    principal: Principal,
    mine: bool = False,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ApprovalBatchView]:
    """Return the batches with pending approvals. Raise Invalid for a bad cursor or limit."""
    if mine and not principal.has_permission(Permission.APPROVAL_DECIDE):
        return make_page([], limit, None)
    async with rt.store.read() as session:
        found = await batches.list_page(
            session,
            wanted,
            after=parse_cursor(cursor),
            limit=check_limit(limit),
            order=order,
            waiting_for=(principal.person, principal.groups) if mine else None,
        )
        views = []
        for batch in found:
            rows = await batches.list_pending(session, batch.id, SHOWN)
            if rows:
                view = await _view(session, batch.id, rows, principal)
                views.append(view.model_copy(update={"count": batch.size}))
    last = (found[-1].created_at, found[-1].id) if len(found) == limit else None
    return make_page(views, len(views), last)


async def get_batch(rt: Runtime, batch: str, principal: Principal) -> ApprovalBatchView:
    """Return a batch with all that is pending in it. Raise NotFound."""
    async with rt.store.read() as session:
        rows = await batches.list_pending(session, batch, MOST)
        if not rows:
            raise no_such_batch(batch)
        return await _view(session, batch, rows, principal)


def no_such_batch(batch: str) -> NotFound:
    """Return the error for a batch that is not known, or in which nothing is pending."""
    return NotFound(f"no approval of batch {batch} is pending; `tocsin approval list` lists them")


async def _view(
    session: AsyncSession,
    batch: str,
    rows: Sequence[tuple[ApprovalRow, RunRow]],
    principal: Principal,
) -> ApprovalBatchView:
    decisions = await approvals.list_decisions(session, [row.id for row, _ in rows])
    first, run = max(rows, key=lambda each: each[1].severity)
    return ApprovalBatchView(
        id=batch,
        count=len(rows),
        question=first.question,
        playbook=run.playbook,
        version=run.version,
        path=first.path,
        source=run.source,
        kind=first.kind,
        by=first.deciding_group,
        quorum=first.quorum,
        level=first.level,
        severity=run.severity,
        items=tuple(
            BatchItemView(
                id=row.id,
                digest=row.digest,
                question=row.question,
                targets=tuple(change["planned_change"]["target"] for change in row.changes),
                run_id=row.run_id,
                severity=its_run.severity,
                mine=waits_for(
                    principal, row, [each for each in decisions if each.approval_id == row.id]
                ),
                created_at=row.asked_at,
                expires_at=row.expires_at,
            )
            for row, its_run in rows
        ),
        created_at=min(row.asked_at for row, _ in rows),
        expires_at=min(row.expires_at for row, _ in rows),
    )
