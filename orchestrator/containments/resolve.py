"""How is a containment settled that does not come off by itself? A person says that it is off, and the device is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.sdk.call import Call
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.connections import open_connection_for
from orchestrator.connections.write_guard_audit import attempts_noted
from orchestrator.containments.queries import get_containment
from orchestrator.containments.release_failures import came_off
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Conflict, Invalid, NotFound, TocsinError
from orchestrator.domain.run import StepState
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects, steps
from orchestrator.store.tables import ContainmentRow, EffectRow

MAX_COMMENT = 2000
_READY = {
    StepState.INTENDED,
    StepState.APPLIED,
    StepState.VERIFIED,
    StepState.DONE,
    StepState.FAILED,
}


async def settle(
    rt: Runtime, key: str, *, comment: str, force: bool = False, actor: str
) -> dict[str, Any]:
    """Takes a containment for lifted, after reading the device. `force`: also when the device still shows it, or cannot be asked.

    Raises NotFound, Invalid (no comment), Conflict (a lease holds it; lifted already; the device says otherwise).
    """
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise Invalid(f"comment: say how it came off, in 1 to {MAX_COMMENT} characters")
    async with rt.store.read() as session:
        held = await containments.get(session, key)
        if held is None:
            raise NotFound(f"there is no containment {key}; `tocsin containments` lists them")
        await _refuse_held(session, held)
        made = await _made(session, held)
    shown = await _shown(rt, made)
    if shown is not None and not force:
        raise Conflict(
            f"{shown}; take it off, or settle it with `force` if you know that it is not ours any more"
        )
    async with rt.store.write() as session:
        await _settle(session, rt, key, shown, comment, actor)
    return await get_containment(rt, key)


async def _settle(
    session: AsyncSession, rt: Runtime, key: str, shown: str | None, comment: str, actor: str
) -> None:
    now = rt.clock()
    held = await containments.lock(session, key)
    if held is None:
        raise NotFound(f"there is no containment {key}")
    await _refuse_held(session, held)
    made = await _made(session, held)
    await _end(session, made, now)
    await effects.end_shared(session, key, now)
    await came_off(session, held, actor, comment, now)
    told = {
        "containment": key,
        "comment": comment,
        "forced": shown is not None,
        "shown": shown,
        "effects": [row.id for row in made],
    }
    subject = made[0].run_id if made else key
    await trail.record(
        session, EventKind.CONTAINMENT_RESOLVED, actor=actor, subject=subject, data=told, now=now
    )


async def _refuse_held(session: AsyncSession, held: ContainmentRow) -> None:
    if held.state == "lifted":
        raise Conflict(f"{held.key} is lifted already")
    if await containments.live_count(session, held.key):
        raise Conflict(f"a lease holds {held.key}; release it first")


async def _made(session: AsyncSession, held: ContainmentRow) -> list[EffectRow]:
    """What of ours may be on the device, newest first."""
    made = await containments.effects_of(session, held.key) if held.ours else []
    own = await effects.get(session, held.effect_id) if held.effect_id else None
    return made if own is None or own.id in {row.id for row in made} else [own, *made]


async def _shown(rt: Runtime, made: list[EffectRow]) -> str | None:
    """What speaks against it; None when the device shows none of it."""
    for effect in made:
        change = Change.model_validate(effect.change)
        call = Call(
            key=digest([effect.run_id, effect.path, change.action, "undo"]),
            run_id=effect.run_id,
            step_id=effect.path,
            reason="settled by hand",
            heartbeat=lambda _: None,
        )
        try:
            connector = await open_connection_for(rt, change.connection, Access.READ)
            if connector.name != change.connector:
                return f"{change.connection} is a {connector.name} by now, so it cannot be asked about a {change.connector}"
            async with attempts_noted(
                rt, change.connection, f"whether {change.action} is gone", effect.run_id
            ):
                gone = await connector.verify_undone(
                    change.action, change.input, change.planned_change, call
                )
            if not gone:
                return f"{change.connection} still shows {change.action} of {change.target}"
        except TocsinError as error:
            return f"{change.connection} cannot be asked: {error}"
    return None


async def _end(session: AsyncSession, made: list[EffectRow], now: datetime) -> None:
    for effect in made:
        await effects.end(session, effect.id, "undone", now)
        step = await steps.get(session, effect.run_id, effect.path)
        if step is not None and step.state in _READY:
            step.state, step.ended_at = StepState.RELEASED.value, now
