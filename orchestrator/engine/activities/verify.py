"""The activity `verify`: read the device back until it shows the change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_for
from orchestrator.connections.open import open_connection_for
from orchestrator.contracts.change import VerifyReply, VerifyRequest
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import StepRef
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import RESULT_FIELDS
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import StepFailure, StepState
from orchestrator.engine.activities.step_records import (
    fail_step_on_write,
    save_step,
    step_event,
    step_progress,
)
from orchestrator.incidents import tasks
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects

PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each read: many systems reply before the change is in force."""


async def poll_until(
    condition: Callable[[], Awaitable[bool]], pauses: Sequence[float] | None = None
) -> bool:
    """Return whether the condition holds within the pauses (seconds), with a heartbeat each."""
    for pause in PAUSES if pauses is None else pauses:
        await asyncio.sleep(pause)
        if not activity.info().is_local:
            activity.heartbeat()
        if await condition():
            return True
    return False


class VerifyChange:
    """Only reads; records what the device shows."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.VERIFY)
    async def verify(self, request: VerifyRequest) -> VerifyReply:
        """Return whether the device shows the change, polled for about 8 seconds.

        Raise Unavailable, Rejected.
        """
        async with step_progress(self._rt, request.call):
            call, change = request.call, request.change
            started = self._rt.clock()
            connector = await open_connection_for(self._rt, change.connection, Access.READ)
            context = call_for(call.ref, change.action)
            async with fail_step_on_write(self._rt, call):
                verified = await poll_until(
                    lambda: connector.verify(
                        change.action, change.input, change.planned_change, request.output, context
                    )
                )
            released = None if verified else await self._release_reason(call.ref)
            detail = released or (
                f"{change.connection} accepted {change.action} of {change.target}, "
                "but does not show it"
            )
            reply = VerifyReply(
                verified=verified,
                detail="" if verified else detail,
                released=released is not None,
            )
            await self._record(request, reply, started)
            return reply

    async def _release_reason(self, ref: StepRef) -> str | None:
        """Return why the step's lease ended meanwhile: its time was up, or a person did it."""
        async with self._rt.store.read() as session:
            lease = await containments.get_lease(
                session, containments.lease_id(ref.run.run_id, ref.path)
            )
        if lease is None or lease.end_reason is None or not lease.end_reason.is_release:
            return None
        if lease.end_reason is LeaseEndReason.EXPIRED:
            return "its lease expired before the device was read back, and it is not in force"
        how = lease.end_reason.describe(lease.ended_by or "")
        return f"it was {how} before the device was read back, and is not in force"

    async def _record(self, request: VerifyRequest, reply: VerifyReply, started: datetime) -> None:
        call, change, now = request.call, request.change, self._rt.clock()
        verified = reply.verified
        data = {
            "change_digest": change.digest,
            "target": str(change.target),
            "verified": verified,
            "detail": reply.detail,
        }
        kind = EventKind.STEP_VERIFIED if verified else EventKind.STEP_FAILED
        common = {name: change.planned_change[name] for name in RESULT_FIELDS}
        async with self._rt.store.write() as session:
            if verified:
                await self._record_in_force(session, request, now)
            await save_step(
                session,
                call,
                StepState.VERIFIED if verified else StepState.FAILED,
                now,
                now,
                error=reply.detail or None,
                failure=None if verified or reply.released else StepFailure.NOT_VERIFIED,
                result=mask_secrets({**request.output, **common}),
            )
            event = step_event(call.ref, kind, data, now, change.digest, started)
            await trail.record_all(session, [event])

    async def _record_in_force(
        self, session: AsyncSession, request: VerifyRequest, now: datetime
    ) -> None:
        ref = request.call.ref
        await effects.mark_verified(
            session, effects.effect_id(ref.run.run_id, ref.path, ref.run.attempt)
        )
        containment = await containments.lock(session, request.change.containment_key)
        if containment is None:
            return
        containment.mark_verified(now)
        if containment.drift is not None:
            containment.clear_drift()
            comment = "it was applied again"
            await tasks.close_tasks(
                session, TaskKind.DRIFT, containment.key, "system", comment, now
            )
