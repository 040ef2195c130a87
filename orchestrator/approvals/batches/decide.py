"""Decisions on a batch: one decision for each approval that the person saw, and for no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field
from temporalio.client import Client

from orchestrator.approvals.batches.views import no_such_batch
from orchestrator.approvals.decide import decide
from orchestrator.approvals.deliver_decision import Delivery, deliver
from orchestrator.briefing.approval import ApprovalView
from orchestrator.briefing.examples import EXAMPLE_APPROVAL
from orchestrator.domain.access import Principal
from orchestrator.domain.approval import ApprovalState, DecisionChannel, DecisionType
from orchestrator.domain.errors import Invalid, TocsinError
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.queries.approvals import batches

_DELIVERED_AT_ONCE = 10
_ITEM: dict[str, Any] = {
    "id": "apr_1f0c",
    "result": "decided",
    "reason": None,
    "approval": {**EXAMPLE_APPROVAL, "state": "approved", "approvals": 1, "mine": False},
}


class ShownApproval(Frozen):
    """An approval as the person saw it."""

    id: str
    digest: str
    changes: tuple[str, ...] | None = None
    """Digests of the chosen changes; None: all."""


class ItemResult(StrEnum):
    """What became of one approval."""

    DECIDED = "decided"
    REFUSED = "refused"


class BatchItemDecision(Frozen):
    """One approval of a decision on a batch."""

    model_config = ConfigDict(json_schema_extra={"example": _ITEM})

    id: str
    result: ItemResult
    reason: str | None = Field(description="Why it is refused.")
    approval: ApprovalView | None = Field(description="Null where it is refused.")


class BatchDecision(Frozen):
    """A decision on a batch, with its result for each approval that it names."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"id": "bat_1f0c", "decided": 1, "refused": 0, "items": [_ITEM]}
        }
    )

    id: str
    decided: int
    refused: int
    items: tuple[BatchItemDecision, ...]


async def decide_batch(
    rt: Runtime,
    client: Client | None,
    batch: str,
    principal: Principal,
    decision: DecisionType,
    shown: Sequence[ShownApproval],
    comment: str = "",
    form: dict[str, Any] | None = None,
    via: DecisionChannel = DecisionChannel.API,
) -> BatchDecision:
    """Record a decision for each approval that was shown; one that is refused stops no other.

    Each is checked and recorded as a decision of its own. `form`: the values for every form. Raise
    NotFound for an unknown batch, Invalid where an approval is named twice.
    """
    if len({each.id for each in shown}) < len(shown):
        raise Invalid("items: an approval is named twice; name each once")
    async with rt.store.read() as session:
        if not await batches.count(session, batch):
            raise no_such_batch(batch)
    items = [
        await _decide(rt, batch, principal, decision, each, comment, form, via) for each in shown
    ]
    if client is not None:
        await _deliver(rt, client, [item.approval for item in items if item.approval is not None])
    refused = sum(item.result is ItemResult.REFUSED for item in items)
    return BatchDecision(
        id=batch, decided=len(items) - refused, refused=refused, items=tuple(items)
    )


async def _decide(
    rt: Runtime,
    batch: str,
    principal: Principal,
    decision: DecisionType,
    shown: ShownApproval,
    comment: str,
    form: dict[str, Any] | None,
    via: DecisionChannel,
) -> BatchItemDecision:
    try:
        approval = await decide(
            rt,
            None,  # delivered together, once all are recorded
            shown.id,
            principal,
            decision,
            shown.digest,
            comment=comment,
            changes=shown.changes,
            form=form,
            via=via,
            batch=batch,
        )
    except TocsinError as error:
        return BatchItemDecision(
            id=shown.id, result=ItemResult.REFUSED, reason=str(error), approval=None
        )
    return BatchItemDecision(id=shown.id, result=ItemResult.DECIDED, reason=None, approval=approval)


async def _deliver(rt: Runtime, client: Client, decided: Sequence[ApprovalView]) -> None:
    """Deliver what is decided; while Temporal does not answer, the reconciler delivers the rest."""
    ids = [each.id for each in decided if each.state is not ApprovalState.PENDING]
    for first in range(0, len(ids), _DELIVERED_AT_ONCE):
        some = ids[first : first + _DELIVERED_AT_ONCE]
        done = await asyncio.gather(*(deliver(rt, client, each) for each in some))
        if all(each is Delivery.LATER for each in done):
            return
