"""Several processes seal one trail: what one seals meanwhile is no broken trail to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import event

from orchestrator.audit import trail
from orchestrator.audit.continuity import check_trail
from orchestrator.audit.rekey.seal_change import advance_anchor
from orchestrator.audit.sealer import export_trail, seal_pending
from orchestrator.audit.transparency.heads import find_head, prove
from orchestrator.domain.audit_event import EventKind
from orchestrator.incidents.trail_health import trail_health
from orchestrator.runtime import Runtime, open_runtime
from tests.harness.databases import START, opened


async def _seal_one(rt: Runtime) -> None:
    async with rt.store.write() as session:
        await trail.record(
            session, EventKind.RUN_CREATED, actor="system", subject="run", data={}, now=START
        )
    await seal_pending(rt)


async def _seal_elsewhere(rt: Runtime) -> None:
    other = open_runtime(rt.settings, clock=rt.clock)
    try:
        await _seal_one(other)
    finally:
        await other.close()


@contextmanager
def _sealing_before_each_statement(rt: Runtime) -> Iterator[list[str]]:
    """Have another process seal an event before each statement of this one; yields statements."""
    seen: list[str] = []

    def seal(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)
        sealing = Thread(target=lambda: asyncio.run(_seal_elsewhere(rt)))
        sealing.start()
        sealing.join()

    engine = rt.store.engine.sync_engine
    event.listen(engine, "before_cursor_execute", seal)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", seal)


async def _health(rt: Runtime) -> None:
    assert (await trail_health(rt)).broken is None


async def _export(rt: Runtime) -> None:
    await export_trail(rt, rt.settings.data_dir / "trail")


async def _prove(rt: Runtime) -> None:
    await prove(rt, 1)


@pytest.mark.parametrize("look", [check_trail, _health, find_head, _prove, _export, advance_anchor])
async def test_what_another_process_seals_meanwhile_breaks_no_trail(
    tmp_path: Path,
    database: str | None,
    look: Callable[[Runtime], Awaitable[object]],
) -> None:
    async with opened(tmp_path, database) as [rt]:
        await _seal_one(rt)
        with _sealing_before_each_statement(rt) as seen:
            await look(rt)
        assert len(seen) > 3
        newest = await check_trail(rt)
        assert newest is not None
        assert newest.number > len(seen)
