"""Attendance: what is due on containments is started in time, and not too much of it at once.

The store says what is due. The workflow of a containment is started under its own id, so that it
runs once whatever crashes, and however many workers look.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from orchestrator.contracts.names import (
    TASK_QUEUE,
    Workflow,
    check_workflow_id,
    release_workflow_id,
)
from orchestrator.domain.errors import TocsinError
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments

LOOK_SECONDS = 0.5
"""How long what becomes due waits at most until it is found."""
RELEASES = (20, 8)
"""Releases at once, and of one connection: fewer than half of a worker's activities."""
CHECKS = (6, 2)
QUEUED = 100
"""Pieces of work that a lane takes in; the store keeps the rest."""
BATCH = 200
"""What one look finds of a kind."""
REST = timedelta(seconds=5)
"""How long a containment rests whose release or check did not end well, beyond what it asks for."""
PATIENCE = timedelta(minutes=10)
"""How long a workflow occupies its lane at most; after it, others are started too."""
END_CHECK = timedelta(minutes=20)
"""When Temporal ends a check that does not proceed, so that the next one takes its place.

`runs/stuck_containments.py` replaces releases.
"""
_RPC_TIMEOUT = timedelta(seconds=5)
_FAILURES = (
    RPCError,
    RuntimeError,
    TimeoutError,
    WorkflowFailureError,
    TocsinError,
    SQLAlchemyError,
    OSError,
)

_log = structlog.get_logger(__name__)


class Attendant:
    """Starts releases and drift checks, each kind in lanes of its own."""

    def __init__(self, rt: Runtime, client: Client) -> None:
        self._rt = rt
        self._client = client
        self._releases = Lanes(*RELEASES)
        self._checks = Lanes(*CHECKS)

    async def attend_until(self, stop: asyncio.Event) -> None:
        """Look in rounds. What is not due yet, or fails, is found by a later one."""
        while not stop.is_set():
            try:
                await self.look()
            except _FAILURES as error:
                _log.warning("looking for due releases failed", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        await self.close()

    async def look(self) -> int:
        """Begin what is due, and return how much was. Raise what the store raises."""
        return await self._find_releases() + await self._find_checks()

    @property
    def busy(self) -> bool:
        """Whether something is begun and has not ended."""
        return self._releases.busy or self._checks.busy

    async def close(self) -> None:
        """Wait for nothing any more; what is begun ends without this process."""
        await self._releases.close()
        await self._checks.close()

    async def _find_releases(self) -> int:
        lanes, now = self._releases, self._rt.clock()
        async with self._rt.store.read() as session:
            due = await containments.due_releases(
                session, now, BATCH, but_connections=lanes.full(), but_keys=lanes.keys(now)
            )
        for key, connection in due:
            lanes.begin(key, connection, lambda key=key: self._release(key))  # type: ignore[misc]
        return len(due)

    async def _find_checks(self) -> int:
        lanes, now = self._checks, self._rt.clock()
        async with self._rt.store.read() as session:
            before = now - timedelta(seconds=(await load_policy(session)).policy.drift.every)
            due = await containments.due_checks(
                session, before, BATCH, but_connections=lanes.full(), but_keys=lanes.keys(now)
            )
        if not due:
            return 0
        async with self._rt.store.write() as session:
            claimed = set(
                await containments.claim_checks(session, [key for key, _ in due], before, now)
            )
        for key, connection in due:
            if key in claimed:
                lanes.begin(key, connection, lambda key=key: self._check(key))  # type: ignore[misc]
        return len(claimed)

    async def _release(self, key: str) -> None:
        done = await self._carry_out(Workflow.RELEASE, release_workflow_id(key), key, 1, None)
        if not done:
            self._releases.rest(key, self._rt.clock(), REST)

    async def _check(self, key: str) -> None:
        await self._carry_out(Workflow.CHECK, check_workflow_id(key), key, 5, END_CHECK)

    async def _carry_out(
        self, workflow: Workflow, id_: str, key: str, priority: int, end: timedelta | None
    ) -> bool:
        """Start a workflow, or join it where it runs, and wait for its end."""
        try:
            handle = await self._client.start_workflow(
                workflow,
                key,
                id=id_,
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                priority=Priority(priority_key=priority),
                execution_timeout=end,
                rpc_timeout=_RPC_TIMEOUT,
            )
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return bool(await handle.result())
        except _FAILURES as error:
            _log.warning(
                "not carried out", workflow=id_, error=type(error).__name__, reason=str(error)[:300]
            )
            return False


class Lanes:
    """A lane for each connection: so much work at once, and so much of each; one piece per key."""

    def __init__(self, at_once: int, in_a_lane: int) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(in_a_lane)
        )
        self._work: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._resting: dict[str, datetime] = {}

    def keys(self, now: datetime) -> set[str]:
        """Return the keys that are worked on, or rest until later."""
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        return self._work.keys() | self._resting.keys()

    def full(self) -> set[str]:
        """Return the connections whose lane takes in nothing more."""
        queued = Counter(connection for connection, _ in self._work.values())
        return {connection for connection, count in queued.items() if count >= QUEUED}

    def begin(self, key: str, connection: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do a piece of work as soon as its lane has room. It raises nothing."""
        task = asyncio.create_task(self._do(key, connection, work))
        self._work[key] = (connection, task)

    def rest(self, key: str, now: datetime, by: timedelta) -> None:
        """Take no work on a key for a while."""
        self._resting[key] = now + by

    @property
    def busy(self) -> bool:
        """Whether there is work."""
        return bool(self._work)

    async def close(self) -> None:
        """Wait for no work any more."""
        tasks = [task for _, task in self._work.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, key: str, connection: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            # The lane first: what waits for a slow system takes no room from others.
            async with self._lanes[connection], self._all:
                await work()
        finally:
            del self._work[key]
