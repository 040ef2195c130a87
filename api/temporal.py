"""The connection to Temporal, made in the background: the API accepts alerts without it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.engine.temporal.client import connect, polling_workers
from orchestrator.runtime import Runtime

_RETRY_SECONDS = 1.0
_CHECK_TIMEOUT = timedelta(seconds=1)
_log = structlog.get_logger(__name__)


class TemporalLink:
    """A client that exists once Temporal has answered, and reconnects by itself from then on."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None

    def client(self) -> Client | None:
        """Return the client; None until Temporal has answered once."""
        return self._client

    def start(self) -> None:
        """Begin to connect in the background."""
        self._task = asyncio.create_task(self._connect())

    async def close(self) -> None:
        """Stop connecting."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _connect(self) -> None:
        warned = False
        while self._client is None:
            try:
                self._client = await connect(self._rt)
            except (Unavailable, Invalid) as error:  # files of certificates may be corrected
                if not warned:
                    _log.warning(
                        "waiting for Temporal; alerts are accepted meanwhile", reason=str(error)
                    )
                warned = True
                await asyncio.sleep(_RETRY_SECONDS)


async def has_worker(client: Client | None) -> bool:
    """Return whether a worker has asked Temporal for work within the last five minutes."""
    if client is None:
        return False
    try:
        return bool(await polling_workers(client, _CHECK_TIMEOUT))
    except (RPCError, RuntimeError):
        return False


async def is_reachable(client: Client | None) -> bool:
    """Return whether Temporal answers a health check within one second."""
    if client is None:
        return False
    try:
        return await client.service_client.check_health(timeout=_CHECK_TIMEOUT)
    except (RPCError, RuntimeError):
        return False
