"""What seals the trail while it grows, and writes it out whole."""

from __future__ import annotations

from pathlib import Path

from orchestrator.audit.export import write_export
from orchestrator.audit.lines import Head
from orchestrator.audit.seal import MAX_BATCH, number, seal
from orchestrator.runtime import Runtime
from orchestrator.store import audit


async def seal_pending(rt: Runtime) -> int:
    """Chains and signs all events that are not sealed yet; how many. One sealer at a time: the write lock sees to it."""
    sealed = 0
    while (done := await _seal_batch(rt)) > 0:
        sealed += done
    return sealed


async def export_trail(rt: Runtime, path: Path) -> Head:
    """Seals what is pending, then writes the whole trail; keep the head elsewhere. Raises Conflict for a row altered unsealed."""
    await seal_pending(rt)
    async with rt.store.read() as session:
        newest = await audit.newest_batch(session)
        rows = audit.sealed_rows(session, newest.number if newest else 0)
        return await write_export(path, rows, key=rt.audit_key, environment=rt.settings.environment, now=rt.clock())


async def _seal_batch(rt: Runtime) -> int:
    async with rt.store.write() as session:
        pending = (await audit.unsealed(session))[:MAX_BATCH]
        if not pending:
            return 0
        previous = await audit.newest_batch(session)
        entries = number([event for _, event in pending], previous)
        batch = seal(entries, previous, rt.audit_key, rt.clock())
        await audit.add_batch(session, [row for row, _ in pending], entries, batch)
        return len(entries)
