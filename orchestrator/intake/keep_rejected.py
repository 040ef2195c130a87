"""Keeping of what an authenticated source sent and Tocsin could not read, within bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.alert import RejectionReason
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Invalid
from orchestrator.intake.batch import RejectedItem
from orchestrator.intake.body import BodyRefused
from orchestrator.intake.delivery import WebhookDelivery
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries.sources import activity
from orchestrator.store.queries.sources import rejected as queries
from orchestrator.store.tables import RejectedRow, SourceRow

_MAX_DETAIL = 1000
_MAX_ITEMS = 100
"""The maximum number of items that a delivery names; the body holds the others."""
_MAX_SAID = 10
_DAYS_COUNTED = 90

_REASONS = {
    413: RejectionReason.TOO_LARGE,
    415: RejectionReason.UNSUPPORTED,
    400: RejectionReason.MALFORMED,
}


async def keep_body(
    rt: Runtime, source: SourceRow, delivery: WebhookDelivery, refusal: Invalid, now: datetime
) -> None:
    """Keep a body that was refused as a whole, with an audit event; of one too large, no bytes."""
    status = refusal.status if isinstance(refusal, BodyRefused) else 422
    reason = reason_of(refusal)
    row = _row(rt, source, delivery, now, reason=reason, status=status, detail=str(refusal))
    async with rt.store.write() as session:
        await _keep(session, rt, row, now)
        await activity.count(session, source.name, {"unreadable"}, now)


async def keep_items(
    session: AsyncSession,
    rt: Runtime,
    source: SourceRow,
    delivery: WebhookDelivery,
    items: Sequence[RejectedItem],
    now: datetime,
) -> None:
    """Keep a batch of which some items could not be read, in the transaction of the others.

    The caller counts it.
    """
    detail = f"items that could not be read: {len(items)}; the first: {items[0].reason}"
    reason = RejectionReason.ITEMS
    row = _row(rt, source, delivery, now, reason=reason, status=202, detail=detail)
    row.items = [item.model_dump() for item in items[:_MAX_ITEMS]]
    await _keep(session, rt, row, now)


async def forget_old(rt: Runtime) -> None:
    """Delete deliveries that were last seen too long ago, and old counts."""
    now = rt.clock()
    before = now - timedelta(days=rt.settings.rejected_keep_days)
    async with rt.store.read() as session:
        if not await queries.count_before(session, before):
            return
    async with rt.store.write() as session:
        await queries.forget(session, before)
        await activity.forget(session, (now - timedelta(days=_DAYS_COUNTED)).date())


def reason_of(refusal: Invalid) -> RejectionReason:
    """Return the reason of a refusal by its type and status."""
    if isinstance(refusal, BodyRefused):
        return _REASONS.get(refusal.status, RejectionReason.MALFORMED)
    return RejectionReason.UNREADABLE


def body_context(source: str) -> bytes:
    """Return the encryption context of the bodies of a source."""
    return f"rejected:{source}".encode()


def _row(
    rt: Runtime,
    source: SourceRow,
    delivery: WebhookDelivery,
    now: datetime,
    *,
    reason: RejectionReason,
    status: int,
    detail: str,
) -> RejectedRow:
    is_kept = reason is not RejectionReason.TOO_LARGE
    sha256 = hashlib.sha256(delivery.body).hexdigest() if is_kept else ""
    return RejectedRow(
        id=new_id("rej"),
        source=source.name,
        product=source.product,
        reason=reason,
        status=status,
        detail=detail[:_MAX_DETAIL],
        items=[],
        body=rt.secrets.seal(delivery.body, body_context(source.name)) if is_kept else None,
        body_sha256=sha256,
        bytes=len(delivery.body),
        content_type=delivery.content_type,
        content_encoding=delivery.content_encoding,
        received_at=now,
        last_seen_at=now,
    )


async def _keep(session: AsyncSession, rt: Runtime, row: RejectedRow, now: datetime) -> None:
    await lock(session, Lock.CONFIGURATION, [f"rejected {row.source}"])
    id_ = await queries.keep(session, row)
    await _evict(session, rt, row.source)
    data: dict[str, Any] = {
        "reason": row.reason.value,
        "detail": row.detail,
        "rejected_id": id_,
        "body_sha256": row.body_sha256 or None,
        "bytes": row.bytes,
        "status": row.status,
    }
    data |= {"items": row.items[:_MAX_SAID]} if row.items else {}
    await trail.record(
        session,
        EventKind.ALERT_REFUSED,
        actor=f"source:{row.source}",
        subject=row.source,
        data=data,
        now=now,
    )


async def _evict(session: AsyncSession, rt: Runtime, source: str) -> None:
    """Delete the oldest deliveries of a source beyond its bounds, replayed ones first."""
    count, total, beyond = 0, 0, []
    for stored in await queries.sizes(session, source):
        count, total = count + 1, total + stored.bytes
        if count > rt.settings.rejected_keep_count or total > rt.settings.rejected_keep_bytes:
            beyond.append(stored.id)
    await queries.remove(session, beyond)
