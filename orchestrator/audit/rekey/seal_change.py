"""Sealing of a change of the audit key: event, batch and identity in one transaction.

No other sealer ever finds such an event: one that waits to be sealed was written past Tocsin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.audit.anchor import Anchor
from orchestrator.audit.continuity import check_end
from orchestrator.audit.keys.change import KeyChange, sign_key_change
from orchestrator.audit.keys.load import load_keys
from orchestrator.audit.seal import number_stored, seal
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import audit, records
from orchestrator.store.tables import InstallationRow
from orchestrator.store.tables.installation import SLOT


async def seal_key_change(rt: Runtime, new: SigningKey, *, actor: str) -> Batch | None:
    """Hand the trail to a new key; None where it has it already.

    Raise BrokenTrail where the store does not continue what this machine remembers, and Conflict
    for a database without an installation.
    """
    async with rt.store.write() as session:
        await lock(session, Lock.SEALER, ["chain"])
        identity = await _identity(session)
        if identity.audit_key == new.public.hex:
            return None
        keys = await load_keys(rt, session)
        change = sign_key_change(keys.signer, new, identity.id)
        previous = await check_end(rt, session)
        event = _event(rt, change, actor)
        batch = await _seal(rt, session, [event], previous, keys.signer)
        identity.audit_key = new.public.hex
    await advance_anchor(rt)
    return batch


async def repeat_key_changes(
    rt: Runtime, session: AsyncSession, changes: Sequence[KeyChange], restore: Event
) -> None:
    """Hand a restored trail to the key that followed after the backup, which seals it itself.

    The retired key does not exist any more; its signature is in the statement of the change. The
    event of the restore, which says why, is in the same batch.
    """
    identity = await _identity(session)
    events = [restore, *(_event(rt, change, "system") for change in changes)]
    await _seal(rt, session, events, await audit.newest_batch(session), rt.audit_key)
    identity.audit_key = rt.audit_key.public.hex


async def advance_anchor(rt: Runtime) -> None:
    """Let this machine remember the newest batch, under the key that signs the next one."""
    async with rt.store.snapshot() as session:
        newest = await check_end(rt, session)
        keys = await load_keys(rt, session)
    if newest is not None:
        anchor = Anchor(rt.settings.audit_anchor_path, keys.signer, keys.history)
        await asyncio.to_thread(anchor.sign_again, newest)


def _event(rt: Runtime, change: KeyChange, actor: str) -> Event:
    return trail.event(
        EventKind.AUDIT_KEY_CHANGED,
        actor=actor,
        subject=change.installation,
        data=change.model_dump(),
        now=rt.clock(),
    )


async def _seal(
    rt: Runtime,
    session: AsyncSession,
    events: Sequence[Event],
    previous: Batch | None,
    signer: SigningKey,
) -> Batch:
    await trail.record_all(session, events)
    stored = await audit.events_by_id(session, [event.id for event in events])
    ordered = [stored[event.id] for event in events]
    entries = number_stored(ordered, previous)
    batch = seal(entries, previous, signer, rt.clock())
    await audit.add_batch(session, [event.number for event in ordered], entries, batch)
    return batch


async def _identity(session: AsyncSession) -> InstallationRow:
    found = await records.get(session, InstallationRow, SLOT)
    if found is None:
        raise Conflict("the database is not prepared; run `tocsin migrate`")
    return found
