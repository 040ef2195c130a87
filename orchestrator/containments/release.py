"""How does a person take a containment back before its time, or give it another end? Its leases are; who watches them does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.audit import trail
from orchestrator.containments.queries import get_containment, get_containments
from orchestrator.containments.watch import watch
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, IncidentRow, LeaseRow

LONGEST = timedelta(days=365)
Way = Literal["extend", "shorten"]


async def release(
    rt: Runtime,
    client: Client | None,
    key: str,
    *,
    lease: str | None = None,
    actor: str,
    reason: str = "",
) -> dict[str, Any]:
    """Releases a containment: all leases, or one by its id. A kill switch stands against it only where told to.

    Raises NotFound, Conflict (lifted already). It is done by the worker, also when Temporal is down now.
    """
    async with rt.store.write() as session:
        held, leases = await _found(session, key, lease)
        await _end(session, rt, held, leases, actor, reason)
    await _wake(client, [held.key])
    return await get_containment(rt, held.key)


async def release_incident(
    rt: Runtime, client: Client | None, incident_id: str, *, actor: str, reason: str = ""
) -> list[dict[str, Any]]:
    """Releases all that the runs of an incident hold now; what other incidents hold too stays. Raises NotFound."""
    async with rt.store.write() as session:
        if await session.get(IncidentRow, incident_id) is None:
            raise NotFound(f"there is no incident {incident_id}")
        keys = await containments.of_incident(session, incident_id)
        for key in keys:
            held = await containments.lock(session, key)
            leases = await containments.live_of_incident(session, key, incident_id)
            if held is not None:
                await _end(session, rt, held, leases, actor, reason)
    await _wake(client, keys)
    return await get_containments(rt, keys)


async def change_lease(
    rt: Runtime,
    client: Client | None,
    key: str,
    *,
    lease: str | None = None,
    until: datetime | None = None,
    length: timedelta | None = None,
    way: Way | None = None,
    actor: str,
    reason: str = "",
) -> dict[str, Any]:
    """Gives a lease, or all live ones of a containment, another end: `until`, or `length` from now.

    `way`: leases that would have to go the other way are left as they are. Raises NotFound, Invalid (in the past, or more than a year
    off), Conflict (ended, being lifted, or nothing to change that way).
    """
    now = rt.clock()
    end = _end_of(now, until, length)
    async with rt.store.write() as session:
        held, leases = await _found(session, key, lease)
        _changeable(held, leases, lease or key, now)
        chosen = [each for each in leases if way is None or _goes(each, end) == way]
        if not chosen:
            raise Conflict(
                f"no lease of {lease or key} would be {way}ed by that; {_OTHER[way or 'extend']}"
            )
        for each in chosen:
            await containments.set_until(session, each.id, end)
            told = {
                "path": each.path,
                "containment": held.key,
                "before": each.until,
                "until": end,
                "reason": reason,
            }
            await trail.record(
                session,
                EventKind.LEASE_CHANGED,
                actor=actor,
                subject=each.run_id,
                data=told,
                now=now,
            )
    await _wake(client, [held.key])
    return await get_containment(rt, held.key)


_OTHER: dict[Way, str] = {
    "extend": "its leases end later than that or have no end; to let them end sooner, shorten",
    "shorten": "its leases end sooner than that; to let them end later, extend",
}


def _goes(lease: LeaseRow, end: datetime) -> Way:
    return "extend" if lease.until is not None and lease.until < end else "shorten"


def _end_of(now: datetime, until: datetime | None, length: timedelta | None) -> datetime:
    if (until is None) == (length is None):
        raise Invalid("give one of `until` (a moment) and `for` (a duration from now)")
    if length is not None and not timedelta() < length <= LONGEST:
        raise Invalid(f"for: give more than nothing and at most {LONGEST.days} days")
    end = until if until is not None else now + (length or timedelta())
    if end <= now:
        raise Invalid("until: that is in the past; to lift it now, release it")
    if end > now + LONGEST:
        raise Invalid(
            f"until: at most {LONGEST.days} days from now; extend it again when they are over"
        )
    return end


def _changeable(held: ContainmentRow, leases: Sequence[LeaseRow], name: str, now: datetime) -> None:
    """A lease whose time is up is being ended: it is over, even if nobody came to it yet."""
    if held.state != "held":
        mend = (
            "it can be contained anew after that"
            if held.state == "lifting"
            else "release it again, or settle it"
        )
        raise Conflict(f"{name} is {held.state}; {mend}")
    if not leases or any(lease.until is not None and lease.until <= now for lease in leases):
        raise Conflict(
            f"the time of {name} is up and it is being released; start a run to contain it anew"
        )


async def _found(
    session: AsyncSession, key: str, lease: str | None
) -> tuple[ContainmentRow, list[LeaseRow]]:
    held = await containments.lock(session, key)
    if held is None:
        raise NotFound(f"there is no containment {key}; `tocsin containments` lists them")
    live = await containments.live(session, key)
    if lease is not None:
        known = await containments.lease(session, lease)
        if known is None or known.containment_key != key:
            raise NotFound(f"containment {key} has no lease {lease}")
        live = [each for each in live if each.id == lease]
    if not live and (held.state == "lifted" or lease is not None):
        raise Conflict(f"{lease or key} is released already")
    return held, live


async def _end(
    session: AsyncSession,
    rt: Runtime,
    held: ContainmentRow,
    leases: Sequence[LeaseRow],
    actor: str,
    reason: str,
) -> None:
    now = rt.clock()
    if held.state == "stuck":
        held.retry_at = now  # tried once more
    for lease in leases:
        await containments.set_until(
            session, lease.id, now, f"{containments.BY_HAND}{actor.removeprefix('person:')}"
        )
        told = {
            "containment": held.key,
            "lease": lease.id,
            "until": now,
            "reason": reason or "released by hand",
        }
        await trail.record(
            session, EventKind.LEASE_CHANGED, actor=actor, subject=lease.run_id, data=told, now=now
        )


async def _wake(client: Client | None, keys: Sequence[str]) -> None:
    """The sweeper finds leases that are over, so that nothing hangs on this."""
    if client is None:
        return
    for key in keys:
        with suppress(RPCError, RuntimeError):
            await watch(client, key)
