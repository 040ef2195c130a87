"""Release by a person, and other ends for leases. A worker finds them in the store and lifts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.containments.early_release import (
    EarlyRelease,
    ask_group,
    close_requests,
    find_refusal,
)
from orchestrator.containments.queries import (
    get_containment,
    get_containments,
    unknown_containment,
)
from orchestrator.containments.views import ContainmentView
from orchestrator.domain.access import Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.playbook.language.durations import LONGEST, format_duration
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page
from orchestrator.store.queries import containments, incidents
from orchestrator.store.tables import ContainmentRow, LeaseRow

MAX_LENGTH = timedelta(seconds=LONGEST)
Way = Literal["extend", "shorten"]


async def release(
    rt: Runtime,
    key: str,
    *,
    lease: str | None = None,
    actor: str,
    who: Principal | None = None,
    reason: str = "",
) -> ContainmentView:
    """End all leases of a containment, or one, so that a worker lifts it.

    `who`: the person and their groups. Raise NotFound, Conflict (released already), Forbidden (a
    group that approved it is asked). Works while Temporal is down: it is done later. A kill switch
    that stops releases delays it.
    """
    async with rt.store.write() as session:
        containment, leases = await _load(session, key, lease)
        refused = await find_refusal(session, containment, leases, who, rt.clock())
        if refused is None:
            await end_leases(session, rt, containment, leases, actor, reason)
        else:
            await ask_group(session, refused, actor, reason, rt.clock())
    if refused is not None:
        raise Forbidden(str(refused))
    return await get_containment(rt, containment.key)


async def release_incident(
    rt: Runtime,
    incident_id: str,
    *,
    actor: str,
    who: Principal | None = None,
    reason: str = "",
) -> Page[ContainmentView]:
    """End all leases of an incident's runs. What other incidents hold too stays.

    Raise NotFound, Forbidden (a group that approved one of them is asked; no lease ended).
    """
    refusals: list[EarlyRelease] = []
    found: list[tuple[ContainmentRow, list[LeaseRow]]] = []
    async with rt.store.write() as session:
        if await incidents.get_incident(session, incident_id) is None:
            raise NotFound(f"incident {incident_id} does not exist")
        keys = await containments.keys_of_incident(session, incident_id)
        for key in keys:
            containment = await containments.lock(session, key)
            leases = await containments.live_leases_of_incident(session, key, incident_id)
            if containment is not None:
                found.append((containment, leases))
                refused = await find_refusal(session, containment, leases, who, rt.clock())
                refusals += [refused] if refused else []
        for refused in refusals:
            await ask_group(session, refused, actor, reason, rt.clock())
        for containment, leases in found if not refusals else ():
            await end_leases(session, rt, containment, leases, actor, reason)
    if refusals:
        raise Forbidden("nothing was released. " + "\n".join(map(str, refusals)))
    return Page(items=await get_containments(rt, keys))


async def change_lease(
    rt: Runtime,
    key: str,
    *,
    lease: str | None = None,
    until: datetime | None = None,
    length: timedelta | None = None,
    way: Way | None = None,
    actor: str,
    who: Principal | None = None,
    reason: str = "",
) -> ContainmentView:
    """Give a lease, or all live ones, another end: `until`, or `length` from now.

    `way`: change only leases that this extends (or shortens). Raise NotFound, Invalid (in the past,
    or more than a year ahead), Conflict (ended, being lifted, or nothing to change that way),
    Forbidden (an earlier end of what a group approved, which is asked).
    """
    now = rt.clock()
    end = _parse_end(now, until, length)
    async with rt.store.write() as session:
        containment, leases = await _load(session, key, lease)
        _check_changeable(containment, leases, lease or key, now)
        chosen = [item for item in leases if way is None or _way_to(item, end) == way]
        if not chosen:
            raise Conflict(
                f"this would {way} no lease of {lease or key}; {_HINTS[way or 'extend']}"
            )
        sooner = [item for item in chosen if _way_to(item, end) == "shorten"]
        refused = await find_refusal(session, containment, sooner, who, now)
        if refused is not None:
            await ask_group(session, refused, actor, reason, now)
        for item in chosen if refused is None else ():
            await containments.set_lease_end(session, item.id, end)
            data = {
                "path": item.path,
                "containment": containment.key,
                "before": item.until,
                "until": end,
                "reason": reason,
            }
            await trail.record(
                session,
                EventKind.LEASE_CHANGED,
                actor=actor,
                subject=item.run_id,
                data=data,
                now=now,
            )
    if refused is not None:
        raise Forbidden(str(refused))
    return await get_containment(rt, containment.key)


_HINTS: dict[Way, str] = {
    "extend": "its leases end later or have no end; use `shorten` to end them earlier",
    "shorten": "its leases end earlier; use `extend` to end them later",
}


def _way_to(lease: LeaseRow, end: datetime) -> Way:
    return "extend" if lease.until is not None and lease.until < end else "shorten"


def _parse_end(now: datetime, until: datetime | None, length: timedelta | None) -> datetime:
    if (until is None) == (length is None):
        raise Invalid("give either `until` (a time) or `for` (a duration from now)")
    if length is not None and not timedelta() < length <= MAX_LENGTH:
        raise Invalid(f"for: must be more than 0 and at most {format_duration(LONGEST)}")
    end = until if until is not None else now + (length or timedelta())
    if end <= now:
        raise Invalid("until: is in the past; to lift the containment now, release it")
    if end > now + MAX_LENGTH:
        raise Invalid(f"until: at most {format_duration(LONGEST)} from now")
    return end


def _check_changeable(
    containment: ContainmentRow, leases: Sequence[LeaseRow], name: str, now: datetime
) -> None:
    """Raise Conflict when it is not held, or a lease expired: that one is about to be ended."""
    if containment.state != ContainmentState.HELD:
        hint = (
            "contain the target again after that"
            if containment.state == ContainmentState.LIFTING
            else "release it again, or resolve it"
        )
        raise Conflict(f"{name} is {containment.state}; {hint}")
    if not leases or any(lease.until is not None and lease.until <= now for lease in leases):
        raise Conflict(
            f"{name} expired and is being released; start a run to contain the target again"
        )


async def _load(
    session: AsyncSession, key: str, lease: str | None
) -> tuple[ContainmentRow, list[LeaseRow]]:
    """Lock a containment and return it with its live leases, or with the one asked for."""
    containment = await containments.lock(session, key)
    if containment is None:
        raise unknown_containment(key)
    live = await containments.live_leases(session, key)
    if lease is not None:
        known = await containments.get_lease(session, lease)
        if known is None or known.containment_key != key:
            raise NotFound(f"containment {key} has no lease {lease}")
        live = [item for item in live if item.id == lease]
    if not live and (containment.state == ContainmentState.LIFTED or lease is not None):
        raise Conflict(f"{lease or key} is released already")
    return containment, live


async def end_leases(
    session: AsyncSession,
    rt: Runtime,
    containment: ContainmentRow,
    leases: Sequence[LeaseRow],
    actor: str,
    reason: str,
) -> None:
    """End leases of a locked containment now; one that is stuck is tried again at once."""
    now = rt.clock()
    await close_requests(session, containment, actor, now)
    if containment.state == ContainmentState.STUCK:
        containment.retry_at = now
    for lease in leases:
        await containments.set_lease_end(session, lease.id, now, released_by=actor)
        data = {
            "containment": containment.key,
            "lease": lease.id,
            "until": now,
            "reason": reason or "released by hand",
        }
        await trail.record(
            session, EventKind.LEASE_CHANGED, actor=actor, subject=lease.run_id, data=data, now=now
        )
