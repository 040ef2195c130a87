"""The scope of a release: which effects it undoes, and what other containments keep of them.

On some systems, containments of different targets share objects: an address in a blocked network
has no element of its own. There, what the live leases of a connection cover together stays in
force, whichever effect made it, and is lifted with the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.registry import find_action
from orchestrator.domain.change import Change
from orchestrator.domain.observable import Target
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
    """Record what is left of effects after a release: undone, or covering what others hold.

    A containment that finds itself covered by such an effect alone becomes Tocsin's to lift.
    `by`: the effect of the restore that lifted the containment.
    """
    holders = await _holders_of(session, containment.key, rows)
    await containments.lock_all(session, [holder.key for holder in holders])
    gone = []
    for effect in rows:
        covered = [holder for holder in holders if holder.extent.overlaps(effect.extent)]
        if not covered:
            gone.append(effect.id)
        for holder in covered:
            if not holder.ours:
                holder.take_ownership(effect.id, now)
    await effects.mark_undone(session, gone, now, by)


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
    found: dict[str, ContainmentRow] = {}
    for effect in rows:
        if not _shares_objects(effect.connector, effect.action):
            continue
        for holder in await containments.held_within(session, effect.connection, effect.extent):
            if holder.key != key and _shares_objects(effect.connector, holder.action):
                found[holder.key] = holder
    return tuple(found[name] for name in sorted(found))
