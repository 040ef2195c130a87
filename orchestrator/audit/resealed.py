"""Events that were sealed before: where the place of one was removed, it is not sealed again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.seal import stored_leaf
from orchestrator.domain.audit_batch import SHORT, Batch
from orchestrator.domain.audit_event import StoredEvent
from orchestrator.store.queries import audit

_CHUNK = 60
"""Batches. What another transaction overtook is a few batches late, and not more."""


async def refuse_resealing(
    session: AsyncSession, pending: Sequence[StoredEvent], newest: Batch | None
) -> None:
    """Raise BrokenTrail where a signed batch has sealed one of these events already.

    Only events with numbers below those of the newest batch are looked up, as others cannot have
    been sealed.
    """
    if newest is None:
        return
    _, highest = await audit.places(session, newest.first_seq, newest.last_seq)
    late = [event for event in pending if event.number <= highest]
    first = newest.number
    while late and first > 0:
        first = max(1, first - _CHUNK + 1)
        for batch in await audit.batches(session, first, _CHUNK):
            _refuse(batch, late)
        first -= 1


def _refuse(batch: Batch, late: Sequence[StoredEvent]) -> None:
    for seq, short in enumerate(batch.short_leaves, start=batch.first_seq):
        for event in late:
            if stored_leaf(event, seq).hex()[:SHORT] == short:
                raise BrokenTrail(
                    f"event {event.number} ({event.record['id']}) was sealed as event {seq} by "
                    f"batch {batch.number}, but its place in the audit trail was removed; "
                    "restore the table audit_seals from your backup"
                )
