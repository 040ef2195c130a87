"""Resolving by hand: a person says that a containment is gone, and the device is read first."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.containments.queries import get_containment, unknown_containment
from orchestrator.containments.release_failures import mark_released
from orchestrator.containments.release_scope import load_release_scope, settle_effects
from orchestrator.containments.views import ContainmentView
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.errors import Conflict, Invalid, Unavailable
from orchestrator.domain.model import Frozen
from orchestrator.requests import RequestKind, ask_worker
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, steps
from orchestrator.store.tables import ContainmentRow, EffectRow

MAX_COMMENT = 2000


class CheckReleased(Frozen):
    """Asks a worker whether every change of a containment is gone from its device."""

    containment_key: str


class DeviceAnswer(Frozen):
    """What the device shows; a device that cannot be asked counts as not gone."""

    is_gone: bool
    detail: str = ""


CHECK_RELEASED = RequestKind("check_released", CheckReleased, DeviceAnswer)


async def resolve_containment(
    rt: Runtime,
    client: Client | None,
    key: str,
    *,
    comment: str,
    force: bool = False,
    actor: str,
) -> ContainmentView:
    """Record that a containment is lifted, after a worker read the device.

    `force`: also when the device still shows it, or cannot be asked. Raise NotFound, Invalid (no
    comment), Conflict (a lease holds it; lifted already; the device says otherwise).
    """
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise Invalid(f"comment: say how it was lifted, in 1 to {MAX_COMMENT} characters")
    async with rt.store.read() as session:
        containment = await containments.get(session, key)
        if containment is None:
            raise unknown_containment(key)
        await _check_resolvable(session, containment)
        rows = (await load_release_scope(session, containment)).to_undo
    answer = await _ask_device(client, key) if rows else DeviceAnswer(is_gone=True)
    if not answer.is_gone and not force:
        raise Conflict(
            f"{answer.detail}; undo it on the device, or resolve it with `force` if you know that "
            "it is not Tocsin's any more"
        )
    async with rt.store.write() as session:
        await _resolve(session, rt, key, answer, comment, actor)
    return await get_containment(rt, key)


async def _ask_device(client: Client | None, key: str) -> DeviceAnswer:
    try:
        return await ask_worker(client, CHECK_RELEASED, CheckReleased(containment_key=key))
    except Unavailable as error:
        return DeviceAnswer(is_gone=False, detail=f"the device cannot be asked: {error}")


async def _resolve(
    session: AsyncSession, rt: Runtime, key: str, answer: DeviceAnswer, comment: str, actor: str
) -> None:
    now = rt.clock()
    found = await containments.get(session, key)
    if found is None:
        raise unknown_containment(key)
    await containments.lock_connection(session, found.connection)
    containment = await containments.lock(session, key) or found
    await _check_resolvable(session, containment)
    rows = (await load_release_scope(session, containment)).effects
    await settle_effects(session, containment, rows, now)
    await _release_steps(session, [row for row in rows if row.containment_key == key], now)
    await mark_released(session, containment, actor, comment, now)
    data = {
        "containment": key,
        "comment": comment,
        "forced": not answer.is_gone,
        "device_answer": answer.detail or None,
        "effects": [row.id for row in rows],
    }
    subject = rows[0].run_id if rows else key
    await trail.record(
        session, EventKind.CONTAINMENT_RESOLVED, actor=actor, subject=subject, data=data, now=now
    )


async def _check_resolvable(session: AsyncSession, containment: ContainmentRow) -> None:
    if containment.state == ContainmentState.LIFTED:
        raise Conflict(f"{containment.key} is lifted already")
    if await containments.count_live_leases(session, containment.key):
        raise Conflict(f"a lease holds {containment.key}; release it first")


async def _release_steps(session: AsyncSession, rows: list[EffectRow], now: datetime) -> None:
    for effect in rows:
        step = await steps.get(session, effect.run_id, effect.path)
        if step is not None and step.state.can_be_undone:
            step.release(now)
