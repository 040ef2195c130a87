"""No sink, no change: where a sink is required, intents wait until one has acknowledged."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.sinks.position import is_genuine
from orchestrator.audit.sinks.timestamp import SCHEME as TIMESTAMP_SCHEME
from orchestrator.domain.errors import Unavailable
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit_sinks
from orchestrator.store.session import event_authenticator

_AGAIN = timedelta(seconds=5)


async def missing_sink(rt: Runtime, session: AsyncSession) -> Unavailable | None:
    """Return why no change may be made now; None where a sink acknowledged, or none is required.

    Call it in the transaction that records an intent, before anything is changed.
    """
    settings = rt.settings
    if not settings.audit_sinks_required:
        return None
    patience = timedelta(seconds=settings.audit_sinks_patience)
    now, authenticator = rt.clock(), event_authenticator(session)
    for row in await audit_sinks.list_sinks(session):
        if row.name.startswith(TIMESTAMP_SCHEME):
            continue  # the authority has nothing of the trail
        at = row.acknowledged_at
        if at is not None and abs(now - at) <= patience and is_genuine(row, authenticator):
            return None
    return Unavailable(
        "no change is made: audit_sinks_required is set, and no audit sink has acknowledged for "
        f"{settings.audit_sinks_patience:g} s; `tocsin task list --kind audit_trail` says why",
        retry_after=_AGAIN,
    )
