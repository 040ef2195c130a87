"""Restores: a step that lifts a containment ends the leases on it, also those of other runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.registry import find_action
from orchestrator.audit import trail
from orchestrator.containments.in_flight import effect_in_flight
from orchestrator.containments.release_failures import mark_released
from orchestrator.containments.release_gate import LIFTING_TIME, is_reapplying
from orchestrator.containments.release_scope import (
    covering_effect,
    load_release_scope,
    settle_effects,
)
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change, Effect, Holder
from orchestrator.domain.containment import ContainmentState, LeaseEndReason
from orchestrator.domain.errors import Busy, Rejected
from orchestrator.store.queries import containments, runs, steps
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow

_BUSY_WAIT = timedelta(seconds=1)


async def load_holders(session: AsyncSession, change: Change) -> tuple[Holder, ...]:
    """Return the live leases that a restore ends, by id; none for any other change.

    Raise Rejected where a wider containment holds the target: lifting a part of it would leave a
    hole in what others hold.
    """
    found = [
        await _holder(session, containment, lease)
        for containment in await _restored(session, change)
        for lease in await containments.live_leases(session, containment.key)
    ]
    return tuple(sorted(found, key=lambda holder: holder.lease))


async def begin_restore(session: AsyncSession, change: Change, now: datetime) -> list[Holder]:
    """Keep releases and drift checks from the containments that a restore lifts.

    Return the holders that its plan did not name; then nothing is kept. Raise Busy while one
    of the containments is applied, applied again, or lifted.
    """
    planned = {holder.lease for holder in change.holders}
    unplanned = [
        holder for holder in await load_holders(session, change) if holder.lease not in planned
    ]
    if unplanned:
        return unplanned
    rows = await _restored(session, change)
    for containment in rows:
        await _check_idle(session, containment, now)
    for containment in await containments.lock_all(session, [row.key for row in rows]):
        containment.lifting_until = now + LIFTING_TIME
    return []


async def abandon_restore(session: AsyncSession, change: Change) -> None:
    """Let others at the containments again: the system refused the restore."""
    rows = await _restored(session, change)
    for containment in await containments.lock_all(session, [row.key for row in rows]):
        containment.lifting_until = None


async def complete_restore(
    session: AsyncSession, change: Change, effect_id: str, run_id: str, now: datetime
) -> None:
    """End the leases that the plan named, and mark what no lease holds any more as lifted."""
    planned, actor = {holder.lease for holder in change.holders}, f"run:{run_id}"
    rows = await _restored(session, change)
    for containment in await containments.lock_all(session, [row.key for row in rows]):
        live = await containments.live_leases(session, containment.key)
        for lease in live:
            if lease.id in planned:
                await _end_lease(session, lease, effect_id, actor, now)
        containment.lifting_until = None
        if all(lease.id in planned for lease in live):
            scope = await load_release_scope(session, containment)
            await settle_effects(session, containment, scope.effects, now, by=effect_id)
            comment = LeaseEndReason.RESTORED.describe(actor)
            await mark_released(session, containment, actor, comment, now)


async def revive_leases(session: AsyncSession, restore: EffectRow, now: datetime) -> None:
    """Revive the leases that a restore ended, as it was undone.

    Leases that expired in the meantime are revived too, so that what the undo contained again on
    their behalf is lifted. Raise Busy while one of the containments is being lifted.
    """
    leases = await containments.leases_ended_by_restore(session, restore.id)
    made = await containments.effects_undone_by(session, restore.id)
    await containments.mark_effects_in_force(session, [row.id for row in made])
    keys = sorted({lease.containment_key for lease in leases})
    for containment in await containments.lock_all(session, keys):
        if containment.state is ContainmentState.LIFTING:
            raise Busy(f"{containment.target} is being lifted", _BUSY_WAIT)
        containment.hold()
        containment.enter_force(now)
        effect = await covering_effect(session, containment)
        if effect is not None and not containment.ours:
            containment.take_ownership(effect.id, now)
    for lease in leases:
        await containments.revive_lease(session, lease.id)
        data = {
            "path": lease.path,
            "containment": lease.containment_key,
            "until": lease.until,
            "reason": f"the restore by run {restore.run_id} was undone",
        }
        kind, actor = EventKind.LEASE_REGISTERED, f"run:{restore.run_id}"
        event_id = trail.event_id(lease.id, kind, restore.id, now)
        await trail.record(
            session, kind, actor=actor, subject=lease.run_id, data=data, now=now, event_id=event_id
        )


async def _restored(session: AsyncSession, change: Change) -> list[ContainmentRow]:
    """Return the held containments that a restore lifts. Raise Rejected for a wider one."""
    bound = find_action(change.connector, change.action)
    contains = bound.spec.restores if bound is not None else None
    counterpart = find_action(change.connector, contains) if contains else None
    if change.effect is not Effect.RESTORE or counterpart is None:
        return []
    found = []
    for row in await containments.held_within(session, change.connection, change.extent):
        action = find_action(change.connector, row.action)
        if not counterpart.shares_objects:
            if row.action == contains and row.extent == change.extent:
                found.append(row)
        elif action is not None and action.shares_objects:
            if not change.extent.covers(row.extent):
                raise await _part_of(session, change, row)
            found.append(row)
    return found


async def _part_of(session: AsyncSession, change: Change, wider: ContainmentRow) -> Rejected:
    lease = (await containments.live_leases(session, wider.key))[0]
    holder = await _holder(session, wider, lease)
    return Rejected(
        f"{change.target} is contained as part of {wider.target}: {holder}; release that instead "
        f"(`tocsin containment release {wider.key}`)"
    )


async def _holder(session: AsyncSession, containment: ContainmentRow, lease: LeaseRow) -> Holder:
    run = await runs.get(session, lease.run_id)
    return Holder(
        lease=lease.id,
        containment=containment.key,
        run=lease.run_id,
        playbook=run.playbook if run else None,
        target=containment.as_target,
        expires_at=lease.until,
    )


async def _check_idle(session: AsyncSession, containment: ContainmentRow, now: datetime) -> None:
    if is_reapplying(containment, now):
        raise Busy(f"{containment.target} is being applied again", _BUSY_WAIT)
    for effect in await containments.containing_effects(
        session, containment.connection, containment.extent
    ):
        if await effect_in_flight(session, effect, now):
            raise Busy(
                f"run {effect.run_id} is applying {effect.action} of {containment.target}",
                _BUSY_WAIT,
                run_id=effect.run_id,
            )


async def _end_lease(
    session: AsyncSession, lease: LeaseRow, effect_id: str, actor: str, now: datetime
) -> None:
    cause = LeaseEndReason.RESTORED
    ended = await containments.end_lease(
        session, lease.id, cause, actor, now, restored_by=effect_id
    )
    if not ended:
        return
    step = await steps.get(session, lease.run_id, lease.path)
    if step is not None and step.state.can_be_undone:
        step.release(now)
    data = {
        "path": lease.path,
        "containment": lease.containment_key,
        "cause": cause,
        "reason": cause.describe(actor),
        "effect": effect_id,
    }
    await trail.record(
        session,
        EventKind.LEASE_ENDED,
        actor=actor,
        subject=lease.run_id,
        data=data,
        now=now,
        event_id=trail.event_id(lease.id, EventKind.LEASE_ENDED, effect_id, lease.created_at),
    )
