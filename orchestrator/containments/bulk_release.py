"""Release of many containments: a preview, then each with its own result and audit events."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.containments.early_release import ask_group, find_refusal
from orchestrator.containments.queries import get_containments, unknown_containment
from orchestrator.containments.release import end_leases
from orchestrator.containments.release_scope import covering_effect
from orchestrator.containments.views import CONTAINMENT_EXAMPLE, ContainmentView
from orchestrator.domain.access import Principal
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.policy.load_inputs import release_stop_reason
from orchestrator.runtime import Runtime
from orchestrator.store import standing
from orchestrator.store.queries import containments
from orchestrator.store.search.filters import ContainmentFilter
from orchestrator.store.search.selection import (
    MOST,
    SHOWN,
    PreviewedSelection,
    check_selection,
    selection_digest,
)
from orchestrator.store.tables import ContainmentRow, LeaseRow

_ITEM: dict[str, Any] = {
    "id": CONTAINMENT_EXAMPLE["id"],
    "result": "released",
    "reason": None,
    "leases": ["run_019a8c7d21f04b6c1e2f3a4b5c6d/contain/block"],
    "containment": CONTAINMENT_EXAMPLE,
}


class ReleaseResult(StrEnum):
    """What becomes of one containment."""

    RELEASABLE = "releasable"  # in a preview
    RELEASED = "released"  # its leases ended; a worker lifts it after the last one
    REFUSED = "refused"


class ContainmentRelease(Frozen):
    """One containment of a release of many."""

    model_config = ConfigDict(json_schema_extra={"example": _ITEM})

    id: str
    result: ReleaseResult
    reason: str | None = Field(description="Why it is refused, or why its lifting has to wait.")
    leases: list[str] = Field(description="The ids of the leases that end.")
    containment: ContainmentView | None = Field(
        description="Null for an id that no containment has."
    )


class ContainmentReleases(Frozen):
    """A release of many containments, or its preview."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"preview": False, "count": 1, "digest": "6f1c0f2b", "items": [_ITEM]}
        }
    )

    preview: bool = Field(description="Whether nothing was released.")
    count: int = Field(description="How many containments the request chooses.")
    digest: str | None = Field(
        description="Of their ids: send it with `count` to release exactly these; "
        "null for too many."
    )
    items: list[ContainmentRelease] = Field(
        description=f"All of them, the newest first; in a preview the first {SHOWN}."
    )


class _Outcome(Frozen):
    """What becomes of one containment, without its view."""

    result: ReleaseResult
    reason: str | None = None
    leases: tuple[str, ...] = ()


async def preview_release(
    rt: Runtime, wanted: ContainmentFilter, who: Principal | None = None
) -> ContainmentReleases:
    """Return what would be released, and what refused, without a change."""
    outcomes: dict[str, _Outcome] = {}
    async with rt.store.read() as session:
        keys, count = await _choose(session, wanted)
        for key in keys[:SHOWN]:
            row = await containments.get(session, key)
            try:
                found, leases = await _check(session, wanted, key, row)
                refused = await find_refusal(session, found, leases, who, rt.clock())
                outcomes[key] = (
                    await _outcome(session, ReleaseResult.RELEASABLE, found, leases)
                    if refused is None
                    else _Outcome(result=ReleaseResult.REFUSED, reason=str(refused))
                )
            except (NotFound, Conflict) as error:
                outcomes[key] = _Outcome(result=ReleaseResult.REFUSED, reason=str(error))
    return await _answer(rt, keys, count, outcomes, preview=True)


async def release_containments(
    rt: Runtime,
    wanted: ContainmentFilter,
    *,
    expected: PreviewedSelection | None,
    actor: str,
    who: Principal | None = None,
    reason: str = "",
) -> ContainmentReleases:
    """End the leases of containments; one that is refused does not stop the others.

    Where the filter says something of runs, only leases of such runs end. Raise Invalid (too
    many), Conflict (other containments than those that were seen).
    """
    async with rt.store.read() as session:
        keys, count = await _choose(session, wanted)
    check_selection("containments", keys, count, expected)
    outcomes: dict[str, _Outcome] = {}
    for key in keys:
        try:
            async with rt.store.write() as session:
                row = await containments.lock(session, key)
                found, leases = await _check(session, wanted, key, row)
                refused = await find_refusal(session, found, leases, who, rt.clock())
                if refused is not None:
                    await ask_group(session, refused, actor, reason, rt.clock())
                    outcomes[key] = _Outcome(result=ReleaseResult.REFUSED, reason=str(refused))
                    continue
                outcomes[key] = await _outcome(session, ReleaseResult.RELEASED, found, leases)
                await end_leases(session, rt, found, leases, actor, reason)
        except (NotFound, Conflict) as error:
            outcomes[key] = _Outcome(result=ReleaseResult.REFUSED, reason=str(error))
    return await _answer(rt, keys, count, outcomes, preview=False)


async def _choose(session: AsyncSession, wanted: ContainmentFilter) -> tuple[list[str], int]:
    """Return the keys, at most one over the maximum, and how many there are."""
    if wanted.keys:
        return list(wanted.keys), len(wanted.keys)
    rows = await containments.list_page(session, wanted, after=None, limit=MOST + 1)
    count = len(rows) if len(rows) <= MOST else await containments.count(session, wanted)
    return [row.key for row, _, _ in rows], count


async def _check(
    session: AsyncSession, wanted: ContainmentFilter, key: str, row: ContainmentRow | None
) -> tuple[ContainmentRow, list[LeaseRow]]:
    """Return a containment and its leases that end. Raise NotFound, Conflict (nothing to end)."""
    if row is None:
        raise unknown_containment(key)
    leases = await containments.live_leases_where(session, key, wanted)
    if leases:
        return row, leases
    if await containments.count_live_leases(session, key):
        raise Conflict(f"other runs hold {key}; release it by its key to end their leases too")
    if row.state is ContainmentState.LIFTED:
        raise Conflict(f"{key} is released already")
    if row.state is ContainmentState.LIFTING:
        raise Conflict(f"{key} is being lifted already")
    return row, leases


async def _outcome(
    session: AsyncSession, result: ReleaseResult, row: ContainmentRow, leases: list[LeaseRow]
) -> _Outcome:
    """Return the outcome, with the kill switch that the lifting has to wait for."""
    waits = await _stopped_by(session, row)
    return _Outcome(
        result=result,
        reason=f"its lifting waits: {waits}" if waits else None,
        leases=tuple(lease.id for lease in leases),
    )


async def _stopped_by(session: AsyncSession, row: ContainmentRow) -> str | None:
    if not any(switch.stop_releases for switch in await standing.kill_switches(session)):
        return None
    effect = await covering_effect(session, row)
    if effect is None:
        return None
    return await release_stop_reason(
        session,
        connection=effect.connection,
        connector=effect.connector,
        playbook=effect.playbook,
        source=effect.source,
    )


async def _answer(
    rt: Runtime,
    keys: list[str],
    count: int,
    outcomes: dict[str, _Outcome],
    *,
    preview: bool,
) -> ContainmentReleases:
    views = {view.id: view for view in await get_containments(rt, list(outcomes))}
    items = [
        ContainmentRelease(
            id=key,
            result=outcome.result,
            reason=outcome.reason,
            leases=list(outcome.leases),
            containment=views.get(key),
        )
        for key, outcome in outcomes.items()
    ]
    return ContainmentReleases(
        preview=preview, count=count, digest=selection_digest(keys), items=items
    )
