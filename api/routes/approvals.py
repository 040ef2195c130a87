"""Approvals: what is asked, and the answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from api.dependencies import TheHeld, requires
from api.problems import RESPONSES
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.model import Frozen
from orchestrator.runs import approvals

router = APIRouter(prefix="/v1/approvals", tags=["approvals"], responses=RESPONSES)
Limit = Annotated[int, Query(ge=1, le=200)]
State = Literal["pending", "approved", "declined", "expired", "withdrawn"]


class Answer(Frozen):
    """One person's answer, about exactly what `digest` stands for. `changes`: only these of it; null: all."""

    decision: Literal["approve", "decline"]
    digest: str
    comment: Annotated[str, Field(max_length=2000)] = ""
    changes: list[str] | None = None
    form: dict[str, Any] | None = None


@router.get("")
async def list_approvals(
    holds: TheHeld,
    state: State | None = None,
    run_id: str | None = None,
    cursor: str | None = None,
    limit: Limit = 50,
    who: Principal = requires(Permission.APPROVAL_READ),
) -> dict[str, Any]:
    """Newest first, each with its exact receipts."""
    return await approvals.list_approvals(holds.rt, state=state, run_id=run_id, cursor=cursor, limit=limit)


@router.get("/{approval_id}")
async def get_approval(approval_id: str, holds: TheHeld, who: Principal = requires(Permission.APPROVAL_READ)) -> dict[str, Any]:
    """Question, receipts, digest, who may answer, until when."""
    return await approvals.get_approval(holds.rt, approval_id)


@router.post("/{approval_id}/decision")
async def decide(approval_id: str, answer: Answer, holds: TheHeld, who: Principal = requires(Permission.APPROVAL_DECIDE)) -> dict[str, Any]:
    """Approve or decline. Another digest, a person who may not, a second or a late answer: refused, with the reason."""
    return await approvals.decide(holds.rt, holds.client(), approval_id, who, **dict(answer))
