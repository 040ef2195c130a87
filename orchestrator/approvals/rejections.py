"""Rejected decisions, withdrawals and reviews, as the audit trail records them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ApprovalState, not_before
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, NotFound, TocsinError
from orchestrator.domain.masking import mask_secrets
from orchestrator.store.paging import to_iso
from orchestrator.store.tables import ApprovalRow, DecisionRow


async def record_rejection(
    session: AsyncSession,
    principal: Principal,
    approval_id: str,
    row: ApprovalRow | None,
    error: TocsinError,
    now: datetime,
    **request: Any,
) -> None:
    """Record that a request on an approval was rejected, and why. `request`: what was asked for."""
    details = {
        "approval": approval_id,
        "run": row.run_id if row else None,
        "key": principal.key_id,
        "reason": str(error),
        **request,
    }
    await trail.record(
        session,
        EventKind.APPROVAL_REFUSED,
        actor=f"person:{principal.person}",
        subject=approval_id,
        data=mask_secrets(details),
        now=now,
    )


def decision_time(
    clock: datetime, row: ApprovalRow | None, decisions: Sequence[DecisionRow]
) -> datetime:
    """Return the time of a request on an approval: not before anything that was recorded of it."""
    recorded = [row.asked_at, row.decided_at] if row else []
    return not_before(
        clock,
        *recorded,
        *(decision.at for decision in decisions),
        *(decision.withdrawn_at for decision in decisions),
    )


def unknown_approval(approval_id: str) -> NotFound:
    """Return the error for an approval that does not exist."""
    return NotFound(f"approval {approval_id} does not exist; `tocsin approval list` lists them")


def lacks_permission(principal: Principal, permission: Permission) -> Forbidden:
    """Return the error for a person without a permission."""
    return Forbidden(f"{principal.person} lacks permission {permission}")


def check_open(row: ApprovalRow, digest: str, at: datetime) -> None:
    """Raise Conflict unless the approval can be decided now, by the digest that the person saw."""
    if row.state is not ApprovalState.PENDING:
        raise Conflict(f"approval {row.id} is already {row.state}")
    if row.expires_at <= at:
        raise Conflict(f"approval {row.id} expired at {to_iso(row.expires_at)}")
    if digest != row.digest:
        raise Conflict(
            f"the digest does not match approval {row.id}; read the approval again and decide on"
            " its current content"
        )


def check_batch(row: ApprovalRow, batch: str | None) -> None:
    """Raise Conflict where a decision on a batch names an approval that is not in it."""
    if batch is not None and row.batch != batch:
        raise Conflict(f"approval {row.id} is not in batch {batch}")
