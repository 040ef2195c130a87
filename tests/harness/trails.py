"""Small trails: events sealed in batches, and their export."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator.audit.export import Row, write_export
from orchestrator.audit.format import Head
from orchestrator.audit.sanitize import sealable
from orchestrator.audit.seal import number, seal
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import AuditEntry, Batch
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit

KEY = SigningKey.new()
_KINDS = [kind for kind in EventKind if kind is not EventKind.AUDIT_KEY_CHANGED]
START = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)


def event(index: int) -> Event:
    return sealable(
        Event(
            id=f"evt_{index:04d}",
            kind=_KINDS[index % len(_KINDS)],
            time=START + timedelta(seconds=index),
            actor="person:ana" if index % 2 else "system",
            subject=f"run_{index % 3}",
            data={
                "address": f"198.51.100.{index % 256}",
                "score": index / 8,
                "changed": index % 2 == 0,
                "list": [index, None, "x"],
            },
        )
    )


def grow(
    sizes: Sequence[int], *, key: SigningKey = KEY, after: Batch | None = None, first: int = 1
) -> list[Row]:
    rows: list[Row] = []
    for size in sizes:
        entries: list[AuditEntry] = number(
            [event(index) for index in range(first, first + size)], after
        )
        after = seal(entries, after, key, START + timedelta(hours=1))
        rows += [*entries, after]
        first += size
    return rows


def export(path: Path, rows: Sequence[Row], key: SigningKey = KEY) -> Head:
    return asyncio.run(
        write_export(path, rows, key=key, environment="test", now=START + timedelta(days=1))
    )


async def stored_events(rt: Runtime, kind: EventKind | None = None) -> list[Event]:
    """Return the stored events of a kind, newest first."""
    async with rt.store.read() as session:
        rows = await audit.page(session, before=None, limit=200, kind=kind)
    return [Event.model_validate(found.record, strict=False) for _, found in rows]
