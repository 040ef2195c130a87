"""Whether a containment without leases can be lifted now, or has to wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.containments.in_flight import effect_in_flight
from orchestrator.contracts.change import UndoRequest
from orchestrator.domain.containment import DriftState
from orchestrator.domain.errors import Busy, Stopped, Unavailable
from orchestrator.policy.load_inputs import release_stop_reason
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, EffectRow

LIFTING_TIME = timedelta(minutes=2)
"""How long a release has a containment to itself; after that its worker is considered dead."""
_STOPPED_WAIT = timedelta(seconds=5)
_BUSY_WAIT = timedelta(seconds=1)
_APPLYING_WAIT = timedelta(seconds=5)


async def release_blocked_by(
    session: AsyncSession, effect: EffectRow, containment: ContainmentRow | None, now: datetime
) -> Unavailable | None:
    """Return why a release has to wait, and for how long; None: it can start.

    `containment` is locked; None for a change that no lease holds.
    """
    stopped = await release_stop_reason(
        session,
        connection=effect.connection,
        connector=effect.connector,
        playbook=effect.playbook,
        source=effect.source,
    )
    if stopped:  # by a kill switch that stops releases too
        return Stopped(stopped, _STOPPED_WAIT)
    busy = _busy(containment, now) if containment else None
    if busy is None and containment is not None:
        busy = await _overlap_busy(session, containment, now)
    return Busy(busy, _BUSY_WAIT) if busy else None


async def apply_in_flight(
    session: AsyncSession, made: Sequence[EffectRow], request: UndoRequest, now: datetime
) -> Busy | None:
    """Return which effect is being applied, and how long to wait; None: none is.

    An undo that came before the call takes effect would leave the change in force with no one to
    lift it, and a step that counts as released is not waited for. A roll-back begins after the
    calls of its own run.
    """
    own = None if request.cause.is_release else request.run_id
    for effect in made:
        if effect.run_id != own and await effect_in_flight(session, effect, now):
            detail = f"run {effect.run_id} is applying {effect.action} to {effect.target_value}"
            return Busy(f"{detail}; it is lifted after that", _APPLYING_WAIT, run_id=effect.run_id)
    return None


async def _overlap_busy(
    session: AsyncSession, containment: ContainmentRow, now: datetime
) -> str | None:
    """Return which overlapping containment is being lifted: both would undo the same effects."""
    for other in await containments.being_lifted_within(
        session, containment.connection, containment.extent, now
    ):
        if other.key != containment.key and other.is_being_lifted(now):
            return f"{other.target}, which overlaps {containment.target}, is being lifted"
    return None


def is_reapplying(containment: ContainmentRow, now: datetime) -> bool:
    """Return whether a drift check applies the containment again now."""
    return (
        containment.drift is DriftState.REAPPLYING
        and containment.reapplying_until is not None
        and containment.reapplying_until > now
    )


def _busy(containment: ContainmentRow, now: datetime) -> str | None:
    """Return who is at work on the device.

    A release before the end of a reapplication would leave the change in force with no one to lift
    it. A second release at the same time could lift what was contained again after the first.
    """
    if is_reapplying(containment, now):
        return f"{containment.target} is being applied again; it is lifted after that"
    if containment.is_being_lifted(now):
        return f"{containment.target} is being lifted"
    return None
