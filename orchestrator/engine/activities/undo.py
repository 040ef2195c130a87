"""The activities `undo` and `list_undoable`: end a lease, undo the change after the last."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.transport import Access
from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.connections.call_context import undo_call
from orchestrator.connections.open import open_connection_for
from orchestrator.connections.write_guard_audit import audit_write_attempts
from orchestrator.containments.release_failures import (
    abandon_release,
    mark_released,
    record_failed_release,
    record_unavailable,
    schedule_retry,
)
from orchestrator.containments.release_gate import LIFTING_TIME, apply_in_flight, release_blocked_by
from orchestrator.containments.release_scope import has_undo, load_release_scope, settle_effects
from orchestrator.containments.restores import revive_leases
from orchestrator.contracts.change import UndoableStep, UndoReply, UndoRequest
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import RunContext
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.containment import (
    ContainmentState,
    LeaseEndReason,
)
from orchestrator.domain.errors import Conflict, Invalid, NotFound, Rejected, Unavailable, Unknown
from orchestrator.domain.observable import Target
from orchestrator.domain.run import WaitingFor, WaitingForRetry
from orchestrator.engine.activities import undo_records
from orchestrator.engine.activities.start_checks import is_current
from orchestrator.engine.activities.verify import poll_until
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects
from orchestrator.store.tables import ContainmentRow, EffectRow

MAX_STEPS = 200
"""Steps returned at once; the workflow asks again until there are none."""


@dataclass(frozen=True, slots=True)
class _Undo:
    """Changes to undo, newest first, with the intent recorded."""

    effects: tuple[EffectRow, ...]
    containment: str | None  # its key; None for a change that no lease holds
    keep: tuple[Target, ...] = ()  # what other containments hold of them


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
            try:
                return await self._try(request)
            except Unavailable as error:
                # Else the release is tried again when its worker is considered dead.
                with suppress(SQLAlchemyError):
                    async with self._rt.store.write() as session:
                        await undo_records.postpone(session, request, error, self._rt.clock())
                raise

    async def _try(self, request: UndoRequest) -> UndoReply:
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
        found = await containments.get(session, lease.containment_key)
        if found is None:
            raise Rejected(
                f"the containment of step {request.path} is missing; the store was altered by hand"
            )
        await containments.lock_connection(session, found.connection)
        containment = await containments.lock(session, found.key) or found
        if request.cause is LeaseEndReason.EXPIRED and lease.is_live_at(now):
            return UndoReply(outcome="kept", detail="the lease was extended")
        if others := await containments.count_live_leases(session, containment.key, but=lease.id):
            own = await effects.newest_in_force(session, request.run_id, request.path)
            if wait := await apply_in_flight(session, [own] if own else [], request, now):
                return wait  # the lease lives until then
            await undo_records.end_lease(session, request, lease, now)
            leases = "1 other lease holds" if others == 1 else f"{others} other leases hold"
            detail = f"{leases} {containment.target}"
            return await undo_records.record_kept(session, request, containment, detail, now)
        await undo_records.end_lease(session, request, lease, now)
        containment.retry_at = now + LIFTING_TIME
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
        scope = await load_release_scope(session, containment)
        if not scope.effects:
            comment = "no lease is left; it was in force before Tocsin"
            await mark_released(session, containment, request.actor, comment, now)
            await undo_records.mark_step(session, request, now)
            detail = f"{containment.target} was in this state before"
            return UndoReply(outcome="not_ours", detail=detail)
        if wait := await release_blocked_by(session, scope.effects[0], containment, now):
            return wait
        in_flight = await apply_in_flight(session, scope.effects, request, now)
        if wait := in_flight or await missing_sink(self._rt, session):
            return wait
        if not scope.to_undo:
            names = ", ".join(holder.target for holder in scope.holders[:3])
            detail = f"the containment of {names} covers {containment.target}"
            await settle_effects(session, containment, scope.effects, now)
            await mark_released(session, containment, request.actor, detail, now)
            return await undo_records.record_kept(session, request, containment, detail, now)
        containment.begin_lifting(now + LIFTING_TIME)
        for effect in scope.to_undo:
            await undo_records.record_undo_intent(session, request, effect, now)
        return _Undo(scope.to_undo, containment.key, scope.keep)

    async def _decide_without_lease(
        self, session: AsyncSession, request: UndoRequest, now: datetime
    ) -> UndoReply | _Undo | Unavailable:
        """Decide for a change that is not shared: a restore, or one made without a lease."""
        effect = await effects.newest_in_force(session, request.run_id, request.path)
        if effect is None or not has_undo(Change.model_validate(effect.change)):
            return UndoReply(outcome="not_ours", detail="this step has nothing to undo")
        blocked = await release_blocked_by(session, effect, None, now)
        if wait := blocked or await missing_sink(self._rt, session):
            return wait
        await undo_records.record_undo_intent(session, request, effect, now)
        return _Undo((effect,), None)

    async def _undo(self, request: UndoRequest, undo: _Undo) -> UndoReply:
        try:
            for effect in undo.effects:
                await self._undo_on_device(request, effect, undo.keep)
        except (Unavailable, Unknown) as error:  # an undo is idempotent: it is simply repeated
            await self._record_unavailable(request, undo, str(error))
            raise error if isinstance(error, Unavailable) else Unavailable(str(error)) from error
        except (Rejected, NotFound, Invalid, Conflict) as error:
            return await self._record_stuck(request, undo, str(error))
        except asyncio.CancelledError:  # the worker is being stopped: another one repeats it
            await self._let_others_try(undo)
            raise
        return await self._record_undone(request, undo)

    async def _undo_on_device(
        self, request: UndoRequest, effect: EffectRow, keep: tuple[Target, ...]
    ) -> None:
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
        await connector.undo(change.action, change.planned_change, call, keep)
        purpose = f"whether {change.action} is gone"
        async with audit_write_attempts(self._rt, change.connection, purpose, effect.run_id):
            gone = await poll_until(
                lambda: connector.verify_undone(
                    change.action, change.input, change.planned_change, call, keep
                )
            )
        if not gone:
            raise Unavailable(
                f"{change.connection} accepted the undo of {change.action} of {change.target}, "
                "but still shows it"
            )

    async def _record_undone(self, request: UndoRequest, undo: _Undo) -> UndoReply:
        now, effect = self._rt.clock(), undo.effects[0]
        target = Change.model_validate(effect.change).target
        async with self._rt.store.write() as session:
            await containments.lock_connection(session, effect.connection)
            containment = (
                await containments.lock(session, undo.containment) if undo.containment else None
            )
            if containment is not None:
                scope = await load_release_scope(session, containment)
                await settle_effects(session, containment, scope.effects, now)
                await mark_released(session, containment, request.actor, "it was undone", now)
                target = containment.as_target
            else:
                await effects.mark_undone(session, [effect.id], now)
            for undone in undo.effects:
                if undone.effect == Effect.RESTORE:
                    await revive_leases(session, undone, now)
            await undo_records.mark_step(session, request, now)
            data = {
                "effect": effect.id,
                "target": str(target),
                "containment": undo.containment,
                "kept": [str(kept) for kept in undo.keep],
                "reason": request.reason,
            }
            parts = (effect.id, effect.intended_at)
            await undo_records.record_undo(
                session, EventKind.UNDO_APPLIED, request, data, now, *parts
            )
        return UndoReply(outcome="undone")

    async def _record_stuck(self, request: UndoRequest, undo: _Undo, error: str) -> UndoReply:
        now, effect = self._rt.clock(), undo.effects[0]
        async with self._rt.store.write() as session:
            containment = await containments.lock(
                session, undo.containment or effect.containment_key
            )
            if undo.containment is None:
                containment = await record_failed_release(session, request, effect, now)
            elif containment is not None and containment.state is not ContainmentState.LIFTING:
                containment = None  # a person resolved it in the meantime
            waits: WaitingFor | None = None
            if containment is not None:
                await schedule_retry(session, request, containment, error, now)
                waits = WaitingForRetry(
                    error=error,
                    attempt=containment.failures,
                    attempts=None,
                    retry_at=containment.retry_at or now,
                )
            await undo_records.record_wait(session, request, waits)
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
        if undo.containment is not None:
            async with self._rt.store.write() as session:
                now = self._rt.clock()
                await record_unavailable(session, request, undo.containment, error, now)

    async def _let_others_try(self, undo: _Undo) -> None:
        if undo.containment is not None:
            async with self._rt.store.write() as session:
                await abandon_release(session, undo.containment, self._rt.clock())
