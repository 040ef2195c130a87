"""Audit of write attempts by a connector that was only asked to read, outside of any step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.sdk.guard import WriteRefused
from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.runtime import Runtime


@asynccontextmanager
async def audit_write_attempts(
    rt: Runtime, connection: str, purpose: str, about: str | None = None
) -> AsyncIterator[None]:
    """Audit a refused write attempt within the block, and raise WriteRefused again.

    `about`: the run or containment that the read is for. Steps of runs audit theirs with the step.
    """
    try:
        yield
    except WriteRefused as refused:
        data = {"asked": purpose, "about": about, "attempt_refused": str(refused)}
        async with rt.store.write() as session:
            kind = EventKind.CONNECTION_WRITE_REFUSED
            await trail.record(
                session, kind, actor="system", subject=connection, data=data, now=rt.clock()
            )
        raise
