"""The sealer: seals pending events of the store, and exports the trail."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.audit.export import write_export
from orchestrator.audit.format import Head, load_head
from orchestrator.audit.seal import number, seal
from orchestrator.crypto.private_file import replace_private
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import audit


async def seal_pending(rt: Runtime, *, everywhere: bool = False) -> int:
    """Seal all pending events and return their number. One sealer runs at a time.

    `everywhere`: search the whole trail for late events, not only its end. Raise Conflict where the
    store holds less than the head that this machine remembers: rows were removed, or an old copy of
    the database was restored.
    """
    sealed = 0
    while (
        await _pending(rt, everywhere=everywhere)
        and (done := await _seal_batch(rt, everywhere=everywhere)) > 0
    ):
        sealed += done
    return sealed


async def export_trail(rt: Runtime, path: Path) -> Head:
    """Seal pending events, then write the whole trail to a file and return its head.

    The head is stored in the data directory; keep it elsewhere as well. Raise Conflict as
    `seal_pending`, Invalid where the file cannot be written.
    """
    await seal_pending(rt, everywhere=True)
    async with rt.store.read() as session:
        newest = await audit.newest_batch(session)
        rows = audit.sealed_rows(session, newest.number if newest else 0)
        head = await write_export(
            path, rows, key=rt.audit_key, environment=rt.settings.environment, now=rt.clock()
        )
    replace_private(rt.settings.audit_head_path, head.line())
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


async def _pending(rt: Runtime, *, everywhere: bool) -> bool:
    """Return whether events are pending, without the lock that writers wait for."""
    async with rt.store.read() as session:
        return bool(await audit.unsealed(session, everywhere=everywhere, limit=1))


async def _seal_batch(rt: Runtime, *, everywhere: bool) -> int:
    async with rt.store.write() as session:
        await lock(session, Lock.SEALER, ["chain"])
        pending = await audit.unsealed(session, everywhere=everywhere)
        if not pending:
            return 0
        previous = await audit.newest_batch(session)
        _check_end(rt, previous)
        entries = number([event for _, event in pending], previous)
        batch = seal(entries, previous, rt.audit_key, rt.clock())
        await audit.add_batch(session, [row for row, _ in pending], entries, batch)
        return len(entries)


def _check_end(rt: Runtime, newest: Batch | None) -> None:
    path = rt.settings.audit_head_path
    if not path.exists():
        return
    remembered = load_head(path).batches
    reached = newest.number if newest else 0
    if reached < remembered:
        raise Conflict(
            f"the audit trail ends with batch {reached}, but {path} remembers batch {remembered}: "
            "rows were removed, or an old copy of the database was restored; "
            "find out which, and only then move that file away"
        )
