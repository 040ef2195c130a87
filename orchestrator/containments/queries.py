"""Queries on containments: what is in force now, and what was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.containments.views import ContainmentView, LeaseContext, containment_view
from orchestrator.domain.containment import IN_FORCE, ContainmentState
from orchestrator.domain.errors import NotFound
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import containments


class StateFilter(StrEnum):
    """Which containments are listed."""

    IN_FORCE = "in_force"  # held, lifting, stuck: all that may be on a device
    ALL = "all"
    HELD = "held"
    LIFTING = "lifting"
    LIFTED = "lifted"
    STUCK = "stuck"

    @property
    def states(self) -> tuple[ContainmentState, ...] | None:
        """The states that are listed; None: all."""
        match self:
            case StateFilter.IN_FORCE:
                return IN_FORCE
            case StateFilter.ALL:
                return None
            case _:
                return (ContainmentState(self),)


async def list_containments(
    rt: Runtime,
    *,
    state: StateFilter = StateFilter.IN_FORCE,
    lease: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ContainmentView]:
    """Return containments with their leases, newest first. `lease`: only the one that it holds.

    Raise Invalid for a bad cursor or limit.
    """
    async with rt.store.read() as session:
        found = await containments.list_page(
            session,
            after=parse_cursor(cursor),
            limit=check_limit(limit),
            states=state.states,
            lease_id=lease,
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
