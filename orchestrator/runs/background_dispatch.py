"""How do accepted alerts become runs, without the sender waiting for Temporal? In the background, many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.signal_new_alert import nudge
from orchestrator.runtime import Runtime

ClientProvider = Callable[[], Client | None]
"""Return the Temporal client; None while Temporal is down."""

_MOST = 10_000
_AT_ONCE = 100
_log = structlog.get_logger(__name__)


class Dispatcher:
    """What it drops, because Temporal is down or too much is waiting, the worker's sweeper finds in the database."""

    def __init__(self, rt: Runtime, client: ClientProvider) -> None:
        self._rt, self._client = rt, client
        self._runs: dict[str, None] = {}
        self._incidents: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def soon(self, run_ids: Iterable[str], incident_ids: Iterable[str] = ()) -> None:
        """Starts these runs, and wakes what waits for an alert in these incidents; returns at once, never raises."""
        for waiting, ids in ((self._runs, run_ids), (self._incidents, incident_ids)):
            waiting.update(dict.fromkeys(id_ for id_ in ids if len(waiting) < _MOST))
        if (self._runs or self._incidents) and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._drain())

    async def drained(self, seconds: float) -> None:
        """Waits for what is under way, but no longer than this."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()

    async def _drain(self) -> None:
        while self._runs or self._incidents:
            runs, incidents = _take(self._runs), _take(self._incidents)
            client = self._client()
            if client is None:
                continue
            try:
                await dispatch(self._rt, client, runs)
                for incident in incidents:
                    await nudge(self._rt, client, incident)
            except (RPCError, RuntimeError, SQLAlchemyError, OSError) as error:
                _log.warning(
                    "runs could not be started yet", runs=len(runs), error=type(error).__name__
                )


def _take(waiting: dict[str, None]) -> list[str]:
    taken = list(waiting)[:_AT_ONCE]
    for id_ in taken:
        del waiting[id_]
    return taken
