"""Dispatch of accepted alerts' runs in the background, so that no sender waits for Temporal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.signal_new_alert import signal_new_alert
from orchestrator.runtime import Runtime

ClientProvider = Callable[[], Client | None]
"""Returns the Temporal client; None while Temporal is down."""

_MAX_WAITING = 10_000
_BATCH = 100
_log = structlog.get_logger(__name__)


class BackgroundDispatcher:
    """Starts runs and wakes waiting ones in batches.

    What it drops, because Temporal is down or too much waits, the reconciler finds in the database.
    """

    def __init__(self, rt: Runtime, client: ClientProvider) -> None:
        self._rt, self._client = rt, client
        self._runs: dict[str, None] = {}
        self._incidents: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def enqueue(self, run_ids: Iterable[str], incident_ids: Iterable[str] = ()) -> None:
        """Start these runs, and wake runs of these incidents. Return at once, never raise."""
        for waiting, ids in ((self._runs, run_ids), (self._incidents, incident_ids)):
            waiting.update(dict.fromkeys(id_ for id_ in ids if len(waiting) < _MAX_WAITING))
        if (self._runs or self._incidents) and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way, for at most so many seconds."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()

    async def _work(self) -> None:
        while self._runs or self._incidents:
            runs, incidents = _take(self._runs), _take(self._incidents)
            client = self._client()
            if client is None:
                continue
            try:
                await dispatch(self._rt, client, runs)
                for incident in incidents:
                    await signal_new_alert(self._rt, client, incident)
            except (RPCError, RuntimeError, SQLAlchemyError, OSError) as error:
                _log.warning("runs not started yet", runs=len(runs), error=type(error).__name__)


def _take(waiting: dict[str, None]) -> list[str]:
    taken = list(waiting)[:_BATCH]
    for id_ in taken:
        del waiting[id_]
    return taken
