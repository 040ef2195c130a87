"""The activities `undo` and `to_undo`: end a step's lease, and take its change back when nobody else holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.registry import CONNECTORS
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import undo_call
from orchestrator.connections.connections import open_connection_for
from orchestrator.connections.write_guard_audit import attempts_noted
from orchestrator.containments.release_failures import (
    came_off,
    escalate,
    keep_stuck,
    note_refusal,
    taking_long,
)
from orchestrator.containments.release_gate import LIFTING_TIME, put_off
from orchestrator.contracts.messages import Activity, RunContext, Undoable, UndoReply, UndoRequest
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change
from orchestrator.domain.errors import Conflict, Invalid, NotFound, Rejected, Unavailable, Unknown
from orchestrator.domain.run import StepState
from orchestrator.engine.activities.verify import seen
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects, steps
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow

MOST = 200
"""How many are handed out at once; the workflow asks again until there are none."""
TIME_IS_UP = "its time is up"


@dataclass(frozen=True, slots=True)
class _Lift:
    """What is to be taken back, committed as intended. `containment`: None for a change that no lease holds."""

    effect: EffectRow
    containment: str | None
    older: tuple[EffectRow, ...] = ()  # what was made before it, of what was partly there


class Undoing:
    """Lifted once, after the last lease, and only what we changed. No policy stands against it, and a kill switch only if told to."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.TO_UNDO)
    async def to_undo(self, run: RunContext) -> list[Undoable]:
        """What a run can take back, newest first, at most 200: changes with an undo, and leases that came to no change."""
        with told_to_workflow():
            async with self._rt.store.read() as session:
                leases = {
                    lease.path: lease.state
                    for lease in await containments.of_run(session, run.run_id)
                }
                effects_ = [
                    row
                    for row in await effects.of_run_in_force(session, run.run_id)
                    if _has_undo(row.change)
                ]
                # An ended lease was lifted, kept for others, or is stuck: asking again would not help.
                found = {row.path: row.seq for row in effects_ if leases.get(row.path) != "ended"}
                for path in (
                    path for path, state in leases.items() if state == "live" and path not in found
                ):
                    step = await steps.get(session, run.run_id, path)
                    found[path] = step.seq if step else 0
            newest = sorted(found.items(), key=lambda item: item[1], reverse=True)
            return [Undoable(path=path, seq=seq) for path, seq in newest[:MOST]]

    @activity.defn(name=Activity.UNDO)
    async def undo(self, request: UndoRequest) -> UndoReply:
        """Ends the step's lease and lifts the containment if that was the last. Raises Unavailable; what the system refuses is `stuck`.

        An end that is put off (a kill switch that stops releases, a drift that is just being mended) is tried again within seconds.
        """
        with told_to_workflow():
            now = self._rt.clock()
            async with self._rt.store.write() as session:
                decided = await self._decide(session, request, now)
            if isinstance(decided, Unavailable):
                raise decided
            return await self._lift(request, decided) if isinstance(decided, _Lift) else decided

    async def _decide(
        self, session: AsyncSession, request: UndoRequest, now: datetime
    ) -> UndoReply | _Lift | Unavailable:
        lease = await containments.lease(
            session, containments.lease_id(request.run_id, request.path)
        )
        if lease is None:
            return await self._decide_alone(session, request, now)
        held = await containments.lock(session, lease.containment_key)
        if held is None:
            raise Rejected(
                f"the containment of step {request.path} is not in the store; it was altered by hand"
            )
        if (
            request.reason == TIME_IS_UP
            and lease.state == "live"
            and (lease.until is None or lease.until > now)
        ):
            return UndoReply(outcome="kept", detail="it was extended in time")
        await _end_lease(session, request, lease, now)
        if others := await containments.live_count(session, held.key):
            return await _kept(session, request, held, others, now)
        return await self._decide_last(session, request, held, now)

    async def _decide_last(
        self, session: AsyncSession, request: UndoRequest, held: ContainmentRow, now: datetime
    ) -> UndoReply | _Lift | Unavailable:
        """Nobody holds it any more. A crash may have come after any of these lines before."""
        own = await effects.newest_in_force(session, request.run_id, request.path)
        if held.state == "lifted":
            await _mark_step(session, request, now)
            return UndoReply(outcome="undone", detail="it was lifted before")
        effect = await effects.get(session, held.effect_id) if held.ours and held.effect_id else own
        if effect is None:
            await came_off(
                session, held, request.actor, "it is held no longer, and was not ours", now
            )
            await _mark_step(session, request, now)
            return UndoReply(
                outcome="not_ours",
                detail=f"{held.target_type} {held.target_value} was so before us",
            )
        if wait := await put_off(session, effect, held, now):
            return wait
        held.state, held.error, held.retry_at, held.lifting_until = (
            "lifting",
            None,
            None,
            now + LIFTING_TIME,
        )
        await _intended(session, request, effect, now)
        older = await containments.effects_of(session, held.key) if held.ours else []
        return _Lift(
            effect,
            held.key,
            tuple(row for row in older if row.id != effect.id and _has_undo(row.change)),
        )

    async def _decide_alone(
        self, session: AsyncSession, request: UndoRequest, now: datetime
    ) -> UndoReply | _Lift | Unavailable:
        """A change that is not shared: a restore, or one made without a lease."""
        effect = await effects.newest_in_force(session, request.run_id, request.path)
        if effect is None or not _has_undo(effect.change):
            return UndoReply(
                outcome="not_ours", detail="nothing of this step is there to be taken back"
            )
        if wait := await put_off(session, effect, None, now):
            return wait
        await _intended(session, request, effect, now)
        return _Lift(effect, None)

    async def _lift(self, request: UndoRequest, lift: _Lift) -> UndoReply:
        try:
            for effect in (lift.effect, *lift.older):
                await self._take_back(request, effect)
        except (Unavailable, Unknown) as error:  # taking back twice is taking back once
            await self._left_to_others(request, lift, str(error))
            raise error if isinstance(error, Unavailable) else Unavailable(str(error)) from error
        except (Rejected, NotFound, Invalid, Conflict) as error:
            return await self._stuck(request, lift, str(error))
        return await self._lifted(request, lift)

    async def _take_back(self, request: UndoRequest, effect: EffectRow) -> None:
        """Raises ActionError, NotFound (the connection is gone), and Unavailable when the system still shows it."""
        change = Change.model_validate(effect.change)
        call = undo_call(effect.run_id, effect.path, change.action, request.reason)
        connector = await open_connection_for(self._rt, change.connection, Access.WRITE)
        if connector.name != change.connector:
            raise Rejected(
                f"{change.connection} is a {connector.name} by now, and {change.action} was made on a {change.connector}"
            )
        await connector.undo(change.action, change.planned_change, call)
        async with attempts_noted(
            self._rt, change.connection, f"whether {change.action} is gone", effect.run_id
        ):
            gone = await seen(
                lambda: connector.verify_undone(
                    change.action, change.input, change.planned_change, call
                )
            )
        if not gone:
            raise Unavailable(
                f"{change.connection} was told to take back {change.action} of {change.target}, but still shows it"
            )

    async def _lifted(self, request: UndoRequest, lift: _Lift) -> UndoReply:
        now, change = self._rt.clock(), Change.model_validate(lift.effect.change)
        async with self._rt.store.write() as session:
            held = await containments.lock(session, lift.containment) if lift.containment else None
            if held is not None:
                await came_off(session, held, request.actor, "it was taken back", now)
            await effects.end(session, lift.effect.id, "undone", now)
            if lift.containment:
                await effects.end_shared(session, lift.containment, now)
            await _mark_step(session, request, now)
            told = {
                "effect": lift.effect.id,
                "target": str(change.target),
                "containment": lift.containment,
                "reason": request.reason,
            }
            await _tell(
                session,
                EventKind.UNDO_APPLIED,
                request,
                told,
                now,
                lift.effect.id,
                lift.effect.intended_at,
            )
        return UndoReply(outcome="undone")

    async def _stuck(self, request: UndoRequest, lift: _Lift, error: str) -> UndoReply:
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            held = await containments.lock(session, lift.containment or lift.effect.containment_key)
            if lift.containment is None:
                held = await keep_stuck(session, request, lift.effect, now)
            elif held is not None and held.state != "lifting":
                held = None  # a person has settled it in the meantime
            if held is not None:
                held.lifting_until = None
                await note_refusal(session, request, held, error, now)
            told = {
                "effect": lift.effect.id,
                "containment": lift.containment,
                "reason": request.reason,
                "error": error,
            }
            await _tell(session, EventKind.UNDO_FAILED, request, told, now, lift.effect.id, now)
        return UndoReply(outcome="stuck", detail=error)

    async def _left_to_others(self, request: UndoRequest, lift: _Lift, error: str) -> None:
        """It did not come off, and is tried again by whoever comes. People are told of a system that does not answer for long."""
        if lift.containment is None:
            return
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            held = await containments.lock(session, lift.containment)
            if held is None:
                return
            held.lifting_until = None
            if taking_long():
                held.error = error
                await escalate(session, request, held, error, now)


async def _end_lease(
    session: AsyncSession, request: UndoRequest, lease: LeaseRow, now: datetime
) -> None:
    if await containments.end_lease(session, lease.id, request.reason, now):
        told = {"containment": lease.containment_key, "reason": request.reason}
        await _tell(session, EventKind.LEASE_ENDED, request, told, now, lease.created_at)


async def _kept(
    session: AsyncSession, request: UndoRequest, held: ContainmentRow, others: int, now: datetime
) -> UndoReply:
    detail = f"{others} more {'lease holds' if others == 1 else 'leases hold'} {held.target_type} {held.target_value}"
    told = {"containment": held.key, "reason": request.reason, "detail": detail}
    await _tell(session, EventKind.UNDO_KEPT, request, told, now, held.since)
    await _mark_step(session, request, now)
    return UndoReply(outcome="kept", detail=detail)


async def _intended(
    session: AsyncSession, request: UndoRequest, effect: EffectRow, now: datetime
) -> None:
    told = {"effect": effect.id, "change_digest": effect.change_digest, "reason": request.reason}
    await _tell(session, EventKind.UNDO_INTENDED, request, told, now, effect.id, effect.intended_at)


async def _mark_step(session: AsyncSession, request: UndoRequest, now: datetime) -> None:
    step = await steps.get(session, request.run_id, request.path)
    if step is not None and step.state in _TAKEN_BACK:
        released = request.reason == TIME_IS_UP or request.actor.startswith("person:")
        step.state, step.ended_at = (
            (StepState.RELEASED if released else StepState.UNDONE).value,
            now,
        )


_TAKEN_BACK = {
    state.value
    for state in (
        StepState.INTENDED,
        StepState.APPLIED,
        StepState.VERIFIED,
        StepState.DONE,
        StepState.FAILED,
    )
}


async def _tell(
    session: AsyncSession,
    kind: EventKind,
    request: UndoRequest,
    told: Mapping[str, Any],
    now: datetime,
    *more: object,
) -> None:
    id_ = trail.event_id(request.run_id, request.path, kind, *more)
    data = {"path": request.path, **told}
    await trail.record(
        session, kind, actor=request.actor, subject=request.run_id, data=data, now=now, event_id=id_
    )


def _has_undo(change: Mapping[str, Any]) -> bool:
    if not change["planned_change"].get("changed"):
        return False
    for connector in CONNECTORS:
        if connector.name == change["connector"]:
            bound = connector.bound.get(change["action"])
            return bound is not None and bound.undo is not None
    return False
