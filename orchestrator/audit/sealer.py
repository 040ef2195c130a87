"""What seals the trail while it grows, and writes it out whole."""

from __future__ import annotations

from pathlib import Path

from orchestrator.audit.export import write_export
from orchestrator.audit.seal import number, seal
from orchestrator.audit.verify.lines import Head, load_head
from orchestrator.crypto.private_file import replace_private
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import audit


async def seal_pending(rt: Runtime, *, everywhere: bool = False) -> int:
    """Chains and signs all events that are not sealed yet; how many. One sealer at a time. `everywhere`: looks for late ones through all.

    Raises Conflict where the store holds less than the head that this machine remembers: the trail was cut, or an old copy put back.
    """
    sealed = 0
    while (
        await _pending(rt, everywhere=everywhere)
        and (done := await _seal_batch(rt, everywhere=everywhere)) > 0
    ):
        sealed += done
    return sealed


async def export_trail(rt: Runtime, path: Path) -> Head:
    """Seals what is pending, then writes the whole trail. The head is remembered in the data directory; keep it elsewhere too.

    Raises Conflict as `seal_pending`, Invalid where the file cannot be written.
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


async def _pending(rt: Runtime, *, everywhere: bool) -> bool:
    """Looked for without the lock that writers wait for."""
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
            f"the audit trail ends with batch {reached}, but {path} remembers batch {remembered}: rows were removed, or an old copy of the "
            "database was put back; find out which, and only then move that file away"
        )
