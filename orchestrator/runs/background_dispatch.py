"""Dispatch of accepted alerts' runs in the background, so that no sender waits for Temporal."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.signal_new_alert import signal_new_alerts
from orchestrator.runs.urgent_first import UrgentFirst
from orchestrator.runtime import Runtime

ClientProvider = Callable[[], Client | None]
"""Returns the Temporal client; None while Temporal is down."""

_MAX_WAITING = 10_000
_BATCH = 20
"""How many are started at once: a severe run that is accepted meanwhile comes right behind."""
_log = structlog.get_logger(__name__)


class BackgroundDispatcher:
    """Starts runs, the most severe first, and wakes waiting ones, in batches.

    What it drops, because Temporal is down or too much waits, the reconciler finds in the database.
    """

    def __init__(self, rt: Runtime, client: ClientProvider) -> None:
        self._rt, self._client = rt, client
        self._runs = UrgentFirst(rt, _MAX_WAITING)
        self._incidents: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def enqueue(self, run_ids: Iterable[str], incident_ids: Iterable[str] = ()) -> None:
        """Start these runs, and wake runs of these incidents. Return at once, never raise."""
        self._runs.add(run_ids)
        room = _MAX_WAITING - len(self._incidents)
        self._incidents.update(dict.fromkeys(itertools.islice(incident_ids, max(0, room))))
        if (self._runs or self._incidents) and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way, for at most so many seconds."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()

    async def _work(self) -> None:
        while self._runs or self._incidents:
            client = self._client()
            if client is None:
                self._forget()
                return
            incidents = _take(self._incidents)
            runs: list[str] = []
            try:
                runs = await self._runs.take(_BATCH)
                await dispatch(self._rt, client, runs)
                if incidents:
                    await signal_new_alerts(self._rt, client, incidents)
            except (RPCError, RuntimeError, SQLAlchemyError, OSError) as error:
                _log.warning("runs not started yet", runs=len(runs), error=type(error).__name__)
                self._forget()

    def _forget(self) -> None:
        self._runs = UrgentFirst(self._rt, _MAX_WAITING)
        self._incidents.clear()


def _take(waiting: dict[str, None]) -> list[str]:
    taken = list(waiting)[:_BATCH]
    for id_ in taken:
        del waiting[id_]
    return taken
