"""Queries on containments: what is in force now, and what was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.containments.views import ContainmentView, LeaseContext, containment_view
from orchestrator.domain.containment import IN_FORCE, ContainmentState
from orchestrator.domain.errors import NotFound
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import containments
from orchestrator.store.search.filters import ContainmentFilter, Order


class StateFilter(StrEnum):
    """Which containments are listed."""

    IN_FORCE = "in_force"  # held, lifting, stuck: all that may be on a device
    ALL = "all"
    HELD = "held"
    LIFTING = "lifting"
    LIFTED = "lifted"
    STUCK = "stuck"

    @staticmethod
    def states_of(chosen: Iterable[StateFilter]) -> tuple[ContainmentState, ...]:
        """Return the states that are listed; empty for all."""
        names = set(chosen)
        if StateFilter.ALL in names:
            return ()
        single = {ContainmentState(each) for each in names - {StateFilter.IN_FORCE}}
        return tuple(single.union(IN_FORCE if StateFilter.IN_FORCE in names else ()))


EVERY_IN_FORCE = ContainmentFilter(state=IN_FORCE)
"""All that may be on a device."""
EVERY = ContainmentFilter()
"""All, also what was lifted."""


async def list_containments(
    rt: Runtime,
    wanted: ContainmentFilter = EVERY_IN_FORCE,
    *,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ContainmentView]:
    """Return containments with their leases. Raise Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        found = await containments.list_page(
            session, wanted, after=parse_cursor(cursor), limit=check_limit(limit), order=order
        )
        items = await _views(session, found)
    return make_page(items, limit, (found[-1][0].since, found[-1][0].key) if found else None)


async def get_containment(rt: Runtime, key: str) -> ContainmentView:
    """Return one containment. Raise NotFound."""
    found = await get_containments(rt, [key])
    if not found:
        raise unknown_containment(key)
    return found[0]


async def get_containments(rt: Runtime, keys: Sequence[str]) -> list[ContainmentView]:
    """Return the containments with these keys that exist, newest first."""
    async with rt.store.read() as session:
        return await _views(session, await containments.get_many(session, keys))


def unknown_containment(key: str) -> NotFound:
    """Return the error for a key that no containment has."""
    return NotFound(f"containment {key} does not exist; `tocsin containment list` lists them")


async def _views(
    session: AsyncSession, found: Sequence[containments.Whole]
) -> list[ContainmentView]:
    leases: dict[str, list[LeaseContext]] = defaultdict(list)
    for lease, run, title in await containments.leases_with_context(
        session, [row.key for row, _, _ in found]
    ):
        leases[lease.containment_key].append((lease, run, title))
    return [containment_view(*whole, leases[whole[0].key]) for whole in found]
