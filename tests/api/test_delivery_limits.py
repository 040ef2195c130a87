"""Deliveries beyond what the API keeps in memory get 429, and critical sources have a reserve."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from orchestrator.intake.sources import add_source
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from tests.harness.databases import migrate_quickly
from tests.harness.intake_samples import EVE

SECRET = "a-token-of-32-characters-0123456"
BODY = json.dumps(EVE).encode()


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings.load(
        data_dir=tmp_path / "data",
        intake_deliveries=4,
        intake_bytes=40_000,
        max_body_bytes=20_000,
        critical_sources=("edr",),
    )
    runtime = open_runtime(settings)
    await migrate_quickly(runtime)
    for name in ("ids", "edr"):
        await add_source(runtime, name, "suricata", "bearer", SecretStr(SECRET), actor="person:ann")
    yield runtime
    await runtime.close()


class Senders:
    """Deliveries whose bodies end when the test says so."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app)
        self._end = asyncio.Event()
        self._begun = 0
        self.open: list[asyncio.Task[httpx.Response]] = []

    async def send(self, source: str, body: bytes | AsyncIterator[bytes] = BODY) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=self._transport, base_url="http://tocsin", timeout=30
        ) as client:
            headers = {"Authorization": f"Bearer {SECRET}"}
            return await client.post(f"/v1/webhooks/{source}", content=body, headers=headers)

    async def begin(self, source: str, first: bytes = b"") -> None:
        """Begin a delivery, and return once the API waits for the rest of its body."""

        async def parts() -> AsyncIterator[bytes]:
            yield first
            self._begun += 1
            await self._end.wait()
            yield BODY

        waited_for = self._begun + 1
        self.open.append(asyncio.create_task(self.send(source, parts())))
        while self._begun < waited_for:
            await asyncio.sleep(0)

    async def end(self) -> list[int]:
        """End all bodies. Return the statuses of the answers."""
        self._end.set()
        return [answer.status_code for answer in await asyncio.gather(*self.open)]


@pytest.fixture
def senders(rt: Runtime) -> Senders:
    return Senders(create_app(rt, lambda: None))


async def test_delivery_beyond_the_number_gets_429_until_another_one_ends(
    senders: Senders,
) -> None:
    for _ in range(3):
        await senders.begin("ids")
    refused = await senders.send("ids")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert "too many deliveries at the same time" in refused.json()["detail"]
    assert sorted(await senders.end()) == [200, 200, 202]
    assert (await senders.send("ids")).status_code == 200


async def test_critical_source_is_accepted_while_others_use_up_their_part(
    senders: Senders,
) -> None:
    for _ in range(3):
        await senders.begin("ids")
    assert (await senders.send("ids")).status_code == 429
    assert (await senders.send("edr")).status_code == 202
    await senders.begin("edr")
    assert (await senders.send("edr")).status_code == 429
    await senders.end()


async def test_bytes_beyond_the_bound_get_429_and_leave_those_before_alone(
    senders: Senders,
) -> None:
    await senders.begin("ids", b" " * 14_000)
    await senders.begin("ids", b" " * 14_000)
    refused = await senders.send("ids", b" " * 4_000 + BODY)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.headers["Connection"] == "close"
    assert (await senders.send("edr", b" " * 4_000 + BODY)).status_code == 202
    assert sorted(await senders.end()) == [200, 202]
    assert (await senders.send("ids", b" " * 4_000 + BODY)).status_code == 200


async def test_refused_deliveries_are_counted_under_no_source(senders: Senders) -> None:
    for _ in range(3):
        await senders.begin("ids")
    await senders.send("ids")
    await senders.end()
    transport = senders._transport
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
        text = (await client.get("/metrics")).text
    assert 'outcome="busy",source="unknown"' in text or 'source="unknown",outcome="busy"' in text
