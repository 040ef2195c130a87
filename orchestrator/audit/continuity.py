"""Continuity: the trail in the store must continue what this machine remembers of it."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.anchor import Anchor, BrokenTrail
from orchestrator.audit.checkpoint import Checkpoint
from orchestrator.audit.format import Head, load_head
from orchestrator.audit.keys.load import TrailKeys, load_keys
from orchestrator.audit.seal import GENESIS
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit

_CHUNK = 200

WHAT_TO_DO = (
    "rows were removed or rewritten, or an old copy of the database was restored; "
    "find out which (docs/operating.md#a-broken-audit-trail), and only then move that file away"
)


async def check_trail(rt: Runtime) -> Batch | None:
    """Return the newest batch. Raise BrokenTrail where it does not continue what is remembered."""
    async with rt.store.snapshot() as session:
        return await check_end(rt, session)


async def check_end(rt: Runtime, session: AsyncSession) -> Batch | None:
    """Return the newest batch, which the anchor remembers from now on.

    An anchor that is behind (a crash before it was written, or another worker that seals) catches
    up over batches that the key of their time signed, each of which continues the one before. Raise
    BrokenTrail where the store has less than the anchor or the head of the last export remembers,
    or others.

    `session`: a snapshot, or a transaction that has the lock of the sealer, as other processes seal
    meanwhile.
    """
    path = rt.settings.audit_anchor_path
    # Both before the store is read: other processes may seal and export meanwhile.
    found, head = Anchor(path, rt.audit_key).read(), _load_head(rt)
    keys = await load_keys(rt, session)
    anchor = Anchor(path, keys.signer, keys.history)
    remembered = anchor.checked(found)
    try:
        newest = await audit.newest_batch(session)
        if head is not None:
            await _check_head(rt, session, head, newest)
        if remembered is not None:
            await _check_anchor(rt, session, remembered, newest)
        await _check_places(session, newest)
        if newest is not None and (remembered is None or remembered.batch < newest.number):
            await _follow(keys, session, remembered, newest)
            await asyncio.to_thread(anchor.advance, newest)
    except BrokenTrail:
        raise
    except Conflict as error:  # a batch that cannot be read
        raise BrokenTrail(str(error)) from error
    return newest


def _load_head(rt: Runtime) -> Head | None:
    path = rt.settings.audit_head_path
    return load_head(path) if path.exists() else None


async def _check_head(rt: Runtime, session: AsyncSession, head: Head, newest: Batch | None) -> None:
    if head.batches:
        found = await audit.batch(session, head.batches)
        place = str(rt.settings.audit_head_path)
        _check_remembered(place, head.batches, head.digest, found, newest)


async def _check_anchor(
    rt: Runtime, session: AsyncSession, remembered: Checkpoint, newest: Batch | None
) -> None:
    found = newest
    if newest is None or newest.number != remembered.batch:
        found = await audit.batch(session, remembered.batch)
    place = str(rt.settings.audit_anchor_path)
    _check_remembered(place, remembered.batch, remembered.digest, found, newest)


def _check_remembered(
    place: str, number: int, digest: str, found: Batch | None, newest: Batch | None
) -> None:
    end = f"batch {newest.number}" if newest else "no batch"
    if newest is None or newest.number < number:
        raise BrokenTrail(
            f"the audit trail ends with {end}, but {place} remembers batch {number}: {WHAT_TO_DO}"
        )
    if found is None:
        raise BrokenTrail(
            f"batch {number} of the audit trail is missing, but {place} remembers it: {WHAT_TO_DO}"
        )
    if found.number != number or found.header_digest() != digest:
        raise BrokenTrail(
            f"batch {number} of the audit trail has the digest {found.header_digest()[:16]}, but "
            f"{place} remembers {digest[:16]}: the trail was rewritten; {WHAT_TO_DO}"
        )


async def _follow(
    keys: TrailKeys, session: AsyncSession, remembered: Checkpoint | None, newest: Batch
) -> None:
    """Check the batches after the anchor: each is signed, and continues the last."""
    number, last_seq, digest = (
        (remembered.batch, remembered.last_seq, remembered.digest)
        if remembered
        else (0, 0, GENESIS)
    )
    while number < newest.number:
        found = await audit.batches(session, number + 1, _CHUNK)
        if not found:
            raise BrokenTrail(f"batch {number + 1} of the audit trail is missing: {WHAT_TO_DO}")
        for batch in found:
            if batch.number != number + 1:
                raise BrokenTrail(
                    f"batch {number + 1} of the audit trail is missing before batch "
                    f"{batch.number}: {WHAT_TO_DO}"
                )
            keys.require_signed(batch, WHAT_TO_DO)
            if batch.previous != digest or batch.first_seq != last_seq + 1:
                raise BrokenTrail(
                    f"batch {batch.number} of the audit trail does not continue batch {number}: "
                    f"{WHAT_TO_DO}"
                )
            number, last_seq, digest = batch.number, batch.last_seq, batch.header_digest()


async def _check_places(session: AsyncSession, newest: Batch | None) -> None:
    """Raise BrokenTrail unless the places of events end where the newest batch does."""
    first, last = (newest.first_seq, newest.last_seq) if newest else (1, 0)
    beyond = await audit.last_place(session)
    if beyond > last:
        raise BrokenTrail(
            f"event {beyond} has a place in the audit trail, but the newest batch ends with event "
            f"{last}: batches were removed; restore the table audit_batches from your backup"
        )
    count, _ = await audit.places(session, first, last)
    if count != last - first + 1:
        raise BrokenTrail(
            f"the newest batch of the audit trail seals events {first} to {last}, but the store "
            f"has the places of {count}: rows were removed; restore them from your backup"
        )
