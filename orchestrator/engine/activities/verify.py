"""The activity `verify`: read the device back until it says that the change is in force."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_for
from orchestrator.connections.connections import open_connection_for
from orchestrator.contracts.messages import Activity, StepRef, VerifyReply, VerifyRequest
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import PlannedChange
from orchestrator.domain.masking import masked
from orchestrator.domain.run import StepState
from orchestrator.engine.activities.refused_writes import attempts_reported
from orchestrator.engine.activities.step_records import save_step, step_event
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.incidents import tasks
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects

LOOKS = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before each look: many systems answer before they have done it."""


async def seen(look: Callable[[], Awaitable[bool]], pauses: Sequence[float] | None = None) -> bool:
    """Whether one of the looks finds it so; heartbeats before each. `pauses`: seconds before each look."""
    for pause in LOOKS if pauses is None else pauses:
        await asyncio.sleep(pause)
        if not activity.info().is_local:
            activity.heartbeat()
        if await look():
            return True
    return False


class Verifying:
    """Only reads; records what it saw."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.VERIFY)
    async def verify(self, request: VerifyRequest) -> VerifyReply:
        """Whether the change is in force, looked for over some 8 seconds. Raises Unavailable, Rejected."""
        with told_to_workflow():
            call, change = request.call, request.change
            started = self._rt.clock()
            connector = await open_connection_for(self._rt, change.connection, Access.READ)
            bound = call_for(call.ref, change.action)
            async with attempts_reported(self._rt, call):
                verified = await seen(
                    lambda: connector.verify(
                        change.action, change.input, change.planned_change, request.output, bound
                    )
                )
            released = None if verified else await self._released(call.ref)
            detail = (
                ""
                if verified
                else released
                or f"{change.connection} took {change.action} of {change.target}, but does not show it"
            )
            await self._record(request, started, verified=verified, detail=detail)
            return VerifyReply(verified=verified, detail=detail, released=released is not None)

    async def _released(self, ref: StepRef) -> str | None:
        """That a person ended the step's lease meanwhile, and who."""
        async with self._rt.store.read() as session:
            lease = await containments.lease(
                session, containments.lease_id(ref.run.run_id, ref.path)
            )
        if lease is None or not (lease.reason or "").startswith(containments.BY_HAND):
            return None
        return f"it was {lease.reason} before the device was read back, and is not in force"

    async def _record(
        self, request: VerifyRequest, started: object, *, verified: bool, detail: str
    ) -> None:
        call, change, now = request.call, request.change, self._rt.clock()
        kind = EventKind.STEP_VERIFIED if verified else EventKind.STEP_FAILED
        told = {
            "change_digest": change.digest,
            "target": str(change.target),
            "verified": verified,
            "detail": detail,
        }
        async with self._rt.store.write() as session:
            if verified:
                await self._in_force(session, request)
            state = StepState.VERIFIED if verified else StepState.FAILED
            result = masked(
                {
                    **request.output,
                    **{name: change.planned_change[name] for name in PlannedChange.model_fields},
                }
            )
            await save_step(session, call, state, now, now, error=detail or None, result=result)
            await trail.record_all(
                session, [step_event(call.ref, kind, told, now, change.digest, started)]
            )

    async def _in_force(self, session: AsyncSession, request: VerifyRequest) -> None:
        ref = request.call.ref
        await effects.verified(
            session, effects.effect_id(ref.run.run_id, ref.path, ref.run.attempt)
        )
        held = await containments.lock(session, request.change.containment_key)
        if held is not None:
            held.verified_at = self._rt.clock()
            if held.drift is not None:
                held.drift = None
                await tasks.close_tasks(
                    session,
                    "drift",
                    held.key,
                    "system",
                    "it was put in force again",
                    held.verified_at,
                )
