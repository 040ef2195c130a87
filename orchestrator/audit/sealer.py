"""The sealer: seals pending events of the store, and exports the trail."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.anchor import Anchor
from orchestrator.audit.continuity import check_end, check_trail
from orchestrator.audit.export import write_export
from orchestrator.audit.format import Head, load_head
from orchestrator.audit.keys.change import is_key_change
from orchestrator.audit.keys.load import TrailKeys, load_keys
from orchestrator.audit.resealed import refuse_resealing
from orchestrator.audit.seal import number_stored, seal
from orchestrator.crypto.mac import Authenticator
from orchestrator.crypto.private_file import replace_private
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.audit_event import StoredEvent
from orchestrator.runtime import Runtime
from orchestrator.store.audit_events import is_authentic
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import audit
from orchestrator.store.session import event_authenticator


async def seal_pending(rt: Runtime, *, everywhere: bool = False) -> int:
    """Seal all pending events and return their number. One sealer runs at a time.

    Events that no process of this installation wrote are quarantined, and the rest is sealed.
    `everywhere`: search the whole trail for late events, not only its end. Raise BrokenTrail where
    the store does not continue what this machine remembers of the trail, even if none is pending.
    """
    await check_trail(rt)
    sealed, after = 0, 0
    while await _pending(rt, everywhere=everywhere, after=after):
        done, after = await _seal_batch(rt, everywhere=everywhere, after=after)
        sealed += done
    return sealed


async def export_trail(rt: Runtime, path: Path) -> Head:
    """Seal pending events, then write the whole trail to a file and return its head.

    The head is stored in the data directory; keep it elsewhere as well. Raise BrokenTrail as
    `seal_pending`, Invalid where the file cannot be written.
    """
    await seal_pending(rt, everywhere=True)
    newest = await check_trail(rt)
    async with rt.store.read() as session:
        rows = audit.sealed_rows(session, newest.number if newest else 0)
        keys = await load_keys(rt, session)
        head = await write_export(
            path,
            rows,
            key=keys.signer,
            earlier=keys.earlier,
            environment=rt.settings.environment,
            now=rt.clock(),
        )
    _remember_head(rt, head)
    return head


async def stream_export(rt: Runtime) -> tuple[int, Iterator[bytes]]:
    """Export the trail as `export_trail` does, and return its size in bytes, and its pieces.

    It is written to a file first, so that a slow reader holds no snapshot of the database open.
    """
    folder = tempfile.mkdtemp(prefix="export-", dir=rt.settings.data_dir)
    try:
        path = Path(folder, "trail")
        await export_trail(rt, path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # the open file stays readable
    return os.fstat(descriptor).st_size, _pieces(os.fdopen(descriptor, "rb"))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


_PIECE = 1 << 16  # bytes


async def _pending(rt: Runtime, *, everywhere: bool, after: int) -> bool:
    """Return whether events are pending, without the lock that writers wait for."""
    async with rt.store.read() as session:
        return bool(await audit.unsealed(session, everywhere=everywhere, after=after, limit=1))


async def _seal_batch(rt: Runtime, *, everywhere: bool, after: int) -> tuple[int, int]:
    """Seal one batch. Return how many events it has, and the number of the last one looked at."""
    async with rt.store.write() as session:
        await lock(session, Lock.SEALER, ["chain"])
        pending = await audit.unsealed(session, everywhere=everywhere, after=after)
        if not pending:
            return 0, after
        authenticator = event_authenticator(session)
        genuine = [event for event in pending if _is_genuine(event, authenticator)]
        foreign = [event for event in pending if not _is_genuine(event, authenticator)]
        await audit.quarantine(session, foreign, rt.clock())
        keys = await load_keys(rt, session)
        batch = await _seal(rt, session, keys, genuine) if genuine else None
    if batch is not None:
        anchor = Anchor(rt.settings.audit_anchor_path, keys.signer, keys.history)
        await asyncio.to_thread(anchor.advance, batch)
    # Without `everywhere`, what was quarantined is not pending any more.
    return len(genuine), pending[-1].number if everywhere else 0


def _is_genuine(event: StoredEvent, authenticator: Authenticator) -> bool:
    """Return whether Tocsin wrote a pending event: it seals a change of the key at once."""
    return is_authentic(event, authenticator) and not is_key_change(event.record)


async def _seal(
    rt: Runtime, session: AsyncSession, keys: TrailKeys, events: Sequence[StoredEvent]
) -> Batch:
    previous = await check_end(rt, session)
    await refuse_resealing(session, events, previous)
    entries = number_stored(events, previous)
    batch = seal(entries, previous, keys.signer, rt.clock())
    await audit.add_batch(session, [event.number for event in events], entries, batch)
    return batch


def _remember_head(rt: Runtime, head: Head) -> None:
    """Store the head of an export, unless another process has stored a later one meanwhile."""
    path = rt.settings.audit_head_path
    if not path.exists() or load_head(path).batches <= head.batches:
        replace_private(path, head.line())
