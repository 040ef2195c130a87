"""How is it kept that somebody's answer did not count? In the trail, with the reason that they were told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.access import Principal
from orchestrator.domain.approval import moment
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound, TocsinError
from orchestrator.domain.masking import masked
from orchestrator.store.tables import AnswerRow, ApprovalRow

MAX_COMMENT = 4000


async def keep_refusal(
    session: AsyncSession,
    who: Principal,
    approval_id: str,
    row: ApprovalRow | None,
    error: TocsinError,
    now: datetime,
    **more: Any,
) -> None:
    """One event, whoever asked and whatever for. `more`: what they wanted."""
    told = {
        "approval": approval_id,
        "run": row.run_id if row else None,
        "key": who.key_id,
        "reason": str(error),
        **more,
    }
    actor = f"person:{who.person}"
    await trail.record(
        session,
        EventKind.APPROVAL_REFUSED,
        actor=actor,
        subject=approval_id,
        data=masked(told),
        now=now,
    )


def now_for(clock: datetime, row: ApprovalRow | None, answers: Sequence[AnswerRow]) -> datetime:
    """The moment by which an answer is judged and kept: not before anything that the question has seen."""
    seen = [row.asked_at, row.decided_at] if row else []
    return moment(
        clock,
        *seen,
        *(answer.at for answer in answers),
        *(answer.withdrawn_at for answer in answers),
    )


def unknown(approval_id: str) -> NotFound:
    """For an approval that is not there."""
    return NotFound(f"there is no approval {approval_id}")


def too_long(comment: str, name: str = "comment") -> Invalid | None:
    """For a text that nobody would read."""
    return (
        Invalid(f"{name}: at most {MAX_COMMENT} characters") if len(comment) > MAX_COMMENT else None
    )
