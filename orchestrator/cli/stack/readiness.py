"""Readiness of a stack: what its start waits for, and what it says meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from temporalio.service import RPCError

from orchestrator.cli.stack.child import Child
from orchestrator.cli.stack.ports import Listening, is_open, reach_temporal
from orchestrator.crypto.server_trust import ServerTrust
from orchestrator.domain.errors import Unavailable
from orchestrator.engine.temporal.client import polling_workers
from orchestrator.engine.temporal.endpoint import open_client
from orchestrator.settings import Settings

_READY_WITHIN = 120.0  # seconds: a machine under load starts slowly
_POLL_SECONDS = 0.1
_REMIND_SECONDS = 30.0
_MAX_DEATHS = 5
"""Deaths of a program in a row after which a start gives up."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a start waits with: its settings, addresses and programs."""

    settings: Settings
    listening: Listening
    children: list[Child]
    report: Report
    stop: asyncio.Event

    async def wait_for(self, what: str, ready: Callable[[], Awaitable[bool]]) -> None:
        """Return once `ready` or `stop`.

        Raise Unavailable after two minutes, or where a program ends again and again.
        """
        deadline = time.monotonic() + _READY_WITHIN
        while not self.stop.is_set() and not await ready():
            self._require_programs()
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{what} is not ready after {_READY_WITHIN:.0f} s; see its log in "
                    f"{self.settings.data_dir}/logs/"
                )
            await self._pause(_POLL_SECONDS)

    async def wait_for_external_temporal(self) -> None:
        """Return once the configured Temporal accepts connections; say at once what is missing.

        There is no time limit, as the API accepts alerts meanwhile.
        """
        address, reminded = self.settings.temporal_address, 0.0
        while not self.stop.is_set() and not is_open(address):
            self._require_programs()
            if not reminded or time.monotonic() > reminded + _REMIND_SECONDS:
                self.report(
                    f"waiting for Temporal: {address} does not answer; start it, or set "
                    "temporal_address. Alerts are accepted, and their runs start once it answers"
                )
                reminded = time.monotonic()
            await self._pause(1.0)

    async def lab_answers(self) -> bool:
        """Return whether the lab answers."""
        return await _get(f"{self.listening.lab_url}/_lab/state", ServerTrust()) is not None

    async def api_accepts_alerts(self) -> bool:
        """Return whether the API accepts alerts."""
        return await self._readyz() is not None

    async def is_ready(self) -> bool:
        """Return whether the API says that alerts are accepted and their runs begin."""
        found = await self._readyz()
        if found is None:
            return False
        ready = found.json()
        return bool(ready["temporal"] == "connected" and ready["worker"] == "polling")

    async def own_workers_poll(self) -> bool:
        """Return whether each worker of this stack asks for work, rather than earlier ones."""
        own = [each.pid for each in self.children if each.program.name in self.listening.workers]
        try:
            workers = await polling_workers(
                await open_client(reach_temporal(self.settings, self.listening))
            )
        except (RPCError, RuntimeError, Unavailable):  # Temporal is not up yet
            return False
        polling = {worker.partition("@")[0] for worker in workers}
        return all(str(pid) in polling for pid in own)

    async def _readyz(self) -> httpx.Response | None:
        return await _get(f"{self.listening.api_url}/readyz", self.listening.trust)

    def _require_programs(self) -> None:
        for child in self.children:
            if child.deaths >= _MAX_DEATHS:
                raise Unavailable(
                    f"{child.program.name} does not start{child.last_line()}; find out why with "
                    f"`tocsin doctor --data-dir {self.settings.data_dir}`"
                )

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)


async def _get(url: str, trust: ServerTrust) -> httpx.Response | None:
    """Return a successful answer."""
    try:
        context = trust.context()
        async with httpx.AsyncClient(timeout=5, trust_env=False, verify=context) as client:
            reply = await client.get(url)
    except httpx.HTTPError:
        return None
    return reply if reply.is_success else None
