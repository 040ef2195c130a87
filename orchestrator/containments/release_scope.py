"""The scope of a release: which effects it undoes, and what other containments keep of them.

On some systems, containments of different targets share objects: an address in a blocked network
has no element of its own. There, what the live leases of a connection cover together stays in
force, whichever effect made it, and is lifted with the last of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.registry import find_action
from orchestrator.domain.change import Change
from orchestrator.domain.observable import Extent, Target
from orchestrator.store.queries import containments, effects
from orchestrator.store.tables import ContainmentRow, EffectRow


@dataclass(frozen=True, slots=True)
class ReleaseScope:
    """The effects that made a containment, and the other containments that cover the same."""

    effects: tuple[EffectRow, ...]
    """Newest first. They may be in force."""
    holders: tuple[ContainmentRow, ...]
    """Held by live leases, and covering what these effects made, wholly or in part."""

    @property
    def to_undo(self) -> tuple[EffectRow, ...]:
        """The effects of which a part has to go."""
        return tuple(
            effect
            for effect in self.effects
            if not any(holder.extent.covers(effect.extent) for holder in self.holders)
        )

    @property
    def keep(self) -> tuple[Target, ...]:
        """The targets that others hold."""
        return tuple(holder.as_target for holder in self.holders)


async def load_release_scope(session: AsyncSession, containment: ContainmentRow) -> ReleaseScope:
    """Return what the release of a containment undoes and keeps, as of now."""
    own = [
        effect
        for effect in await containments.effects_in_force(session, containment.key)
        if has_undo(Change.model_validate(effect.change))
    ]
    shared = [
        effect
        for effect in await containments.containing_effects(
            session, containment.connection, containment.extent
        )
        if effect.containment_key != containment.key
        and _shares_objects(effect.connector, effect.action)
        and _shares_objects(effect.connector, containment.action)
        and has_undo(Change.model_validate(effect.change))
    ]
    found = sorted([*own, *shared], key=lambda row: (row.intended_at, row.id), reverse=True)
    return ReleaseScope(tuple(found), await _holders_of(session, containment.key, found))


async def settle_effects(
    session: AsyncSession,
    containment: ContainmentRow,
    rows: Sequence[EffectRow],
    now: datetime,
    by: str | None = None,
) -> None:
    """Record what is left of effects after a release: undone, or covering another containment.

    Another containment counts until it is lifted itself, also when its leases have ended: the
    system may have kept its part, and its own release undoes that. One that is held and finds
    itself covered by such an effect alone becomes Tocsin's to lift. `by`: the effect of the restore
    that lifted the containment.
    """
    held = {holder.key for holder in await _holders_of(session, containment.key, rows)}
    others = await _overlapping(session, containment.key, rows, containments.in_force_within)
    await containments.lock_all(session, [other.key for other in others])
    gone = []
    for effect in rows:
        covered = [other for other in others if other.extent.overlaps(effect.extent)]
        if not covered:
            gone.append(effect.id)
        for other in covered:
            if other.key in held and not other.ours:
                other.take_ownership(effect.id, now)
    await effects.mark_undone(session, gone, now, by)


async def disown_effect(
    session: AsyncSession, change: Change, effect_id: str, now: datetime
) -> None:
    """Let no containment be an effect's any more: the system refused it, so it changed nothing.

    The containment that it was to make was in force only as far as earlier effects made it; one
    that it seemed to cover was so without it.
    """
    owned = await containments.keys_of_effect(session, change.connection, effect_id)
    for containment in await containments.lock_all(session, owned):
        containment.give_up_ownership()
        if containment.key == change.containment_key:
            containment.was_in_force = containment.verified_at is not None
        earlier = await covering_effect(session, containment)
        if earlier is not None and (earlier.state.is_applied or containment.was_in_force):
            containment.take_ownership(earlier.id, now)


async def covering_effect(session: AsyncSession, containment: ContainmentRow) -> EffectRow | None:
    """Return the newest effect that made a part of a containment, also of another containment."""
    return next(iter((await load_release_scope(session, containment)).effects), None)


def has_undo(change: Change) -> bool:
    """Return whether a change changed anything and its action has an undo."""
    bound = find_action(change.connector, change.action)
    return change.changed and bound is not None and bound.undo is not None


def shares_objects(change: Change) -> bool:
    """Return whether the change may share objects on the system with other containments."""
    return _shares_objects(change.connector, change.action)


def _shares_objects(connector: str, action: str) -> bool:
    bound = find_action(connector, action)
    return bound is not None and bound.shares_objects


async def _holders_of(
    session: AsyncSession, key: str, rows: Sequence[EffectRow]
) -> tuple[ContainmentRow, ...]:
    """Return the other containments that hold a part of what effects made."""
    return await _overlapping(session, key, rows, containments.held_within)


async def _overlapping(
    session: AsyncSession,
    key: str,
    rows: Sequence[EffectRow],
    find: Callable[[AsyncSession, str, Extent], Awaitable[list[ContainmentRow]]],
) -> tuple[ContainmentRow, ...]:
    """Return the other containments, by key, that share objects on the system with effects."""
    found: dict[str, ContainmentRow] = {}
    for effect in rows:
        if not _shares_objects(effect.connector, effect.action):
            continue
        for other in await find(session, effect.connection, effect.extent):
            if other.key != key and _shares_objects(effect.connector, other.action):
                found[other.key] = other
    return tuple(found[name] for name in sorted(found))
