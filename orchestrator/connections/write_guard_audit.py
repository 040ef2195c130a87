"""What of a connector that tried to change something while it was only asked, outside of any step? The trail says what it tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.sdk.guard import WriteRefused
from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.runtime import Runtime


@asynccontextmanager
async def attempts_noted(
    rt: Runtime, connection: str, asked: str, about: str | None = None
) -> AsyncIterator[None]:
    """Within, a connector only reads. `asked`: what it was asked; `about`: the run or containment that it was asked for.

    Raises WriteRefused again, after it is on record. A step of a run that reads keeps it with the step: see the engine's activities.
    """
    try:
        yield
    except WriteRefused as refused:
        told = {"asked": asked, "about": about, "attempt_refused": str(refused)}
        async with rt.store.write() as session:
            kind = EventKind.CONNECTION_WRITE_REFUSED
            await trail.record(
                session, kind, actor="system", subject=connection, data=told, now=rt.clock()
            )
        raise
