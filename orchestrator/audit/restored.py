"""Restores: the signed event with which a restored store continues its chain.

It names the batch after which the trail goes on, and how far the trail went before. Who has more
of the earlier trail, such as a sink, finds there why it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.audit.checkpoint import Checkpoint
from orchestrator.audit.seal import GENESIS
from orchestrator.domain.audit_batch import EXACT, Batch, Hash
from orchestrator.domain.audit_event import Event, EventKind, canonical_time
from orchestrator.domain.model import Frozen


class Restore(Frozen):
    """What a restore says of itself in the trail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backup: Annotated[str, Field(description="When the backup was made.")]
    to_batch: Annotated[int, Field(ge=0, le=EXACT, description="The trail continues after it.")]
    to_seq: Annotated[int, Field(ge=0, le=EXACT)]
    to_digest: Hash
    from_batch: Annotated[
        int | None, Field(ge=0, le=EXACT, description="How far it went before; null: not known.")
    ] = None
    from_seq: Annotated[int | None, Field(ge=0, le=EXACT)] = None
    from_digest: Hash | None = None

    def gave_up_batch(self, number: int) -> bool:
        """Return whether a batch of the earlier trail was given up."""
        return self.to_batch < number <= (self.from_batch or EXACT)

    def gave_up_event(self, seq: int) -> bool:
        """Return whether an event of the earlier trail was given up."""
        return self.to_seq < seq <= (self.from_seq or EXACT)


def describe_restore(newest: Batch | None, lost: Checkpoint | None, backup: datetime) -> Restore:
    """Return a restore to this end of the trail. `lost`: the last that is known of the earlier."""
    beyond = lost if lost is not None and lost.batch > (newest.number if newest else 0) else None
    return Restore(
        backup=canonical_time(backup),
        to_batch=newest.number if newest else 0,
        to_seq=newest.last_seq if newest else 0,
        to_digest=newest.header_digest() if newest else GENESIS,
        from_batch=beyond.batch if beyond else None,
        from_seq=beyond.last_seq if beyond else None,
        from_digest=beyond.digest if beyond else None,
    )


async def record_restore(
    session: AsyncSession, restore: Restore, *, installation: str, now: datetime
) -> Event:
    """Record a restore in the trail, and return its event."""
    event = trail.event(
        EventKind.INSTALLATION_RESTORED,
        actor="system",
        subject=installation,
        data=restore.model_dump(),
        now=now,
    )
    await trail.record_all(session, [event])
    return event


def parse_restore(record: Mapping[str, Any]) -> Restore | None:
    """Return what an event says of a restore; None for another event."""
    if record.get("kind") != EventKind.INSTALLATION_RESTORED:
        return None
    try:
        return Restore.model_validate(record.get("data"))
    except ValidationError:
        return None
