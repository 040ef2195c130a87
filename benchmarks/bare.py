"""Bare Temporal: a workflow of the same five calls, as short as it can be written.

Its worker: `python benchmarks/bare.py TEMPORAL_ADDRESS TARGET_URL [--floor]`. The floor is what
Temporal costs at least: local activities, no sandbox.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

with workflow.unsafe.imports_passed_through():
    import httpx

QUEUE = "bare"
READS = (
    "/virustotal/api/v3/ip_addresses/{address}",
    "/virustotal/api/v3/domains/cdn.example",
    "/virustotal/api/v3/files/275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
    "/virustotal/api/v3/urls/aHR0cHM6Ly9jZG4uZXhhbXBsZS8",
)
_BLOCK = (
    "<uid-message><version>2.0</version><type>update</type>"
    '<payload><register><entry ip="{address}">'
    "<tag><member>tocsin-blocked</member></tag></entry></register></payload></uid-message>"
)


async def _contain(execute: Callable[..., Awaitable[Any]], address: str) -> str:
    """Call four reads and one contain in sequence, and return the address."""
    for path in READS:
        await execute(
            "look", path.format(address=address), start_to_close_timeout=timedelta(seconds=20)
        )
    await execute("contain", address, start_to_close_timeout=timedelta(seconds=20))
    return address


@workflow.defn
class Bare:
    """Four reads, one contain, by activities that the server schedules."""

    @workflow.run
    async def run(self, address: str) -> str:
        """Contain the address and return it."""
        return await _contain(workflow.execute_activity, address)


@workflow.defn
class Floor:
    """The same, by local activities."""

    @workflow.run
    async def run(self, address: str) -> str:
        """Contain the address and return it."""
        return await _contain(workflow.execute_local_activity, address)


class Activities:
    """The same requests as the connectors make."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @activity.defn(name="look")
    async def look(self, path: str) -> dict[str, object]:
        """Return the answer of the reputation service."""
        reply = await self._http.get(path, headers={"x-apikey": "lab-token"})
        return {"status": reply.status_code, "body": reply.text}

    @activity.defn(name="contain")
    async def contain(self, address: str) -> dict[str, object]:
        """Register the address with the firewall."""
        data = {"type": "user-id", "cmd": _BLOCK.format(address=address)}
        reply = await self._http.post(
            "/palo_alto/api/", data=data, headers={"X-PAN-KEY": "lab-panos-write-key"}
        )
        return {"status": reply.status_code, "body": reply.text}


async def work(temporal: str, target: str, *, floor: bool) -> None:
    """Run the worker until it is terminated."""
    client = await Client.connect(temporal)
    async with httpx.AsyncClient(base_url=target) as http:
        doing = Activities(http)
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[Floor if floor else Bare],
            activities=[doing.look, doing.contain],
            workflow_runner=UnsandboxedWorkflowRunner() if floor else SandboxedWorkflowRunner(),
        ):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], floor="--floor" in sys.argv))
