"""The activities `undo` and `list_undoable`: end a lease, undo the change after the last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.transport import Access
from orchestrator.connections.call_context import undo_call
from orchestrator.connections.open import open_connection_for
from orchestrator.connections.write_guard_audit import audit_write_attempts
from orchestrator.containments.release_failures import (
    escalate,
    is_slow,
    mark_released,
    record_failed_release,
    schedule_retry,
)
from orchestrator.containments.release_gate import LIFTING_TIME, release_blocked_by
from orchestrator.contracts.change import UndoableStep, UndoReply, UndoRequest
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import RunContext
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change
from orchestrator.domain.containment import (
    ContainmentState,
    EffectState,
    LeaseEndReason,
    LeaseState,
)
from orchestrator.domain.errors import Conflict, Invalid, NotFound, Rejected, Unavailable, Unknown
from orchestrator.engine.activities import undo_records
from orchestrator.engine.activities.start_checks import is_current
from orchestrator.engine.activities.verify import poll_until
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow

MAX_STEPS = 200
"""Steps returned at once; the workflow asks again until there are none."""


@dataclass(frozen=True, slots=True)
class _Undo:
    """A change to undo, with the intent recorded."""

    effect: EffectRow
    containment: str | None  # its key; None for a change that no lease holds
    older: tuple[EffectRow, ...] = ()  # earlier changes of a target that was contained in part


class UndoChange:
    """Undoes only what Tocsin changed, once, after the last lease.

    The policy has no say in it, and a kill switch only if it stops releases too.
    """

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.LIST_UNDOABLE)
    async def list_undoable(self, run: RunContext) -> list[UndoableStep]:
        """Return the steps of an open run that can be undone, newest first, at most 200."""
        with translate_errors():
            async with self._rt.store.read() as session:
                if not await is_current(session, run):
                    return []  # another attempt, or a person, has what it changed
                return (await undo_records.undoable_steps(session, run.run_id))[:MAX_STEPS]

    @activity.defn(name=Activity.UNDO)
    async def undo(self, request: UndoRequest) -> UndoReply:
        """End the step's lease, and lift the containment if that was the last.

        Return `stuck` for what the system refuses. Raise Unavailable, also while the release has to
        wait for a kill switch or for a drift that is being corrected.
        """
        with translate_errors():
            now = self._rt.clock()
            async with self._rt.store.write() as session:
                decided = await self._decide(session, request, now)
            match decided:
                case Unavailable():
                    raise decided
                case _Undo():
                    return await self._undo(request, decided)
                case UndoReply():
                    return decided

    async def _decide(
        self, session: AsyncSession, request: UndoRequest, now: datetime
    ) -> UndoReply | _Undo | Unavailable:
        lease = await containments.get_lease(
            session, containments.lease_id(request.run_id, request.path)
        )
        if lease is None:
            return await self._decide_without_lease(session, request, now)
        containment = await containments.lock(session, lease.containment_key)
        if containment is None:
            raise Rejected(
                f"the containment of step {request.path} is missing; the store was altered by hand"
            )
        if request.cause is LeaseEndReason.EXPIRED and _is_extended(lease, now):
            return UndoReply(outcome="kept", detail="the lease was extended")
        await undo_records.end_lease(session, request, lease, now)
        if others := await containments.count_live_leases(session, containment.key):
            return await undo_records.record_kept(session, request, containment, others, now)
        return await self._decide_last(session, request, containment, now)

    async def _decide_last(
        self,
        session: AsyncSession,
        request: UndoRequest,
        containment: ContainmentRow,
        now: datetime,
    ) -> UndoReply | _Undo | Unavailable:
        """Decide for a containment without leases. A crash may have come after any line before."""
        if containment.state is ContainmentState.LIFTED:
            await undo_records.mark_step(session, request, now)
            return UndoReply(outcome="undone", detail="it was lifted before")
        effect = await effects.newest_in_force(session, request.run_id, request.path)
        if containment.ours and containment.effect_id:
            effect = await effects.get(session, containment.effect_id)
        if effect is None:
            comment = "no lease is left; it was in force before Tocsin"
            await mark_released(session, containment, request.actor, comment, now)
            await undo_records.mark_step(session, request, now)
            detail = f"{containment.target} was in this state before"
            return UndoReply(outcome="not_ours", detail=detail)
        if wait := await release_blocked_by(session, effect, containment, now):
            return wait
        containment.begin_lifting(now + LIFTING_TIME)
        await undo_records.record_undo_intent(session, request, effect, now)
        older = (
            await containments.effects_in_force(session, containment.key)
            if containment.ours
            else []
        )
        return _Undo(
            effect,
            containment.key,
            tuple(
                row for row in older if row.id != effect.id and undo_records.has_undo(row.change)
            ),
        )

    async def _decide_without_lease(
        self, session: AsyncSession, request: UndoRequest, now: datetime
    ) -> UndoReply | _Undo | Unavailable:
        """Decide for a change that is not shared: a restore, or one made without a lease."""
        effect = await effects.newest_in_force(session, request.run_id, request.path)
        if effect is None or not undo_records.has_undo(effect.change):
            return UndoReply(outcome="not_ours", detail="this step has nothing to undo")
        if wait := await release_blocked_by(session, effect, None, now):
            return wait
        await undo_records.record_undo_intent(session, request, effect, now)
        return _Undo(effect, None)

    async def _undo(self, request: UndoRequest, undo: _Undo) -> UndoReply:
        try:
            for effect in (undo.effect, *undo.older):
                await self._undo_on_device(request, effect)
        except (Unavailable, Unknown) as error:  # an undo is idempotent: it is simply repeated
            await self._record_unavailable(request, undo, str(error))
            raise error if isinstance(error, Unavailable) else Unavailable(str(error)) from error
        except (Rejected, NotFound, Invalid, Conflict) as error:
            return await self._record_stuck(request, undo, str(error))
        return await self._record_undone(request, undo)

    async def _undo_on_device(self, request: UndoRequest, effect: EffectRow) -> None:
        """Undo, and read back.

        Raise ActionError, NotFound (the connection is gone), Unavailable (still in force).
        """
        change = Change.model_validate(effect.change)
        call = undo_call(effect.run_id, effect.path, change.action, request.reason)
        connector = await open_connection_for(self._rt, change.connection, Access.WRITE)
        if connector.name != change.connector:
            raise Rejected(
                f"{change.connection} is a {connector.name} now, "
                f"and {change.action} was applied on a {change.connector}"
            )
        await connector.undo(change.action, change.planned_change, call)
        purpose = f"whether {change.action} is gone"
        async with audit_write_attempts(self._rt, change.connection, purpose, effect.run_id):
            gone = await poll_until(
                lambda: connector.verify_undone(
                    change.action, change.input, change.planned_change, call
                )
            )
        if not gone:
            raise Unavailable(
                f"{change.connection} accepted the undo of {change.action} of {change.target}, "
                "but still shows it"
            )

    async def _record_undone(self, request: UndoRequest, undo: _Undo) -> UndoReply:
        now, effect = self._rt.clock(), undo.effect
        async with self._rt.store.write() as session:
            if undo.containment is not None:
                containment = await containments.lock(session, undo.containment)
                if containment is not None:
                    await mark_released(session, containment, request.actor, "it was undone", now)
            await effects.set_outcome(session, effect.id, EffectState.UNDONE, now)
            if undo.containment is not None:
                await effects.mark_all_undone(session, undo.containment, now)
            await undo_records.mark_step(session, request, now)
            data = {
                "effect": effect.id,
                "target": str(Change.model_validate(effect.change).target),
                "containment": undo.containment,
                "reason": request.reason,
            }
            parts = (effect.id, effect.intended_at)
            await undo_records.record_undo(
                session, EventKind.UNDO_APPLIED, request, data, now, *parts
            )
        return UndoReply(outcome="undone")

    async def _record_stuck(self, request: UndoRequest, undo: _Undo, error: str) -> UndoReply:
        now, effect = self._rt.clock(), undo.effect
        async with self._rt.store.write() as session:
            containment = await containments.lock(
                session, undo.containment or effect.containment_key
            )
            if undo.containment is None:
                containment = await record_failed_release(session, request, effect, now)
            elif containment is not None and containment.state is not ContainmentState.LIFTING:
                containment = None  # a person resolved it in the meantime
            if containment is not None:
                await schedule_retry(session, request, containment, error, now)
            data = {
                "effect": effect.id,
                "containment": undo.containment,
                "reason": request.reason,
                "error": error,
            }
            await undo_records.record_undo(
                session, EventKind.UNDO_FAILED, request, data, now, effect.id, now
            )
        return UndoReply(outcome="stuck", detail=error)

    async def _record_unavailable(self, request: UndoRequest, undo: _Undo, error: str) -> None:
        """Let others try again at once, and notify people of a system that is away for long."""
        if undo.containment is None:
            return
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            containment = await containments.lock(session, undo.containment)
            if containment is None:
                return
            containment.lifting_until = None
            if is_slow():
                containment.error = error
                await escalate(session, request, containment, error, now)


def _is_extended(lease: LeaseRow, now: datetime) -> bool:
    return lease.state is LeaseState.LIVE and (lease.until is None or lease.until > now)
