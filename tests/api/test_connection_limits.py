"""Slow, idle and many connections do not silence the API, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from api.client_address import parse_networks
from api.limits.connections import BoundedConnection
from tests.harness.bounded_server import READYZ, ask, connect, serving, until, until_closed

LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.attack(
    "hold 200 idle connections open", before="idle connections stayed, until no other was accepted"
)
async def test_idle_connections_of_one_address_leave_room_for_others() -> None:
    async with serving(most=160) as (port, limits):
        held = [await connect(port) for _ in range(200)]
        await until(lambda: limits.open["127.0.0.1"] <= 128)
        assert (await ask(port, source="127.0.0.2")).startswith(b"HTTP/1.1 200")
        assert (await ask(port, source="127.0.0.1")).startswith(b"HTTP/1.1 503")
        for _, writer in held:
            writer.close()
        await until(lambda: limits.open.total() == 0)
        assert (await ask(port, source="127.0.0.1")).startswith(b"HTTP/1.1 200")


@pytest.mark.attack(
    "send a head byte by byte", before="each byte renewed the time that a connection may idle"
)
async def test_slow_head_ends_its_connection() -> None:
    async with serving(head_seconds=0.3) as (port, _):
        reader, writer = await connect(port)

        async def drip() -> None:
            for byte in READYZ * 100:
                writer.write(bytes([byte]) if byte != 13 else b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await until_closed(reader)
        dripping.cancel()


async def test_connection_that_sends_nothing_is_closed() -> None:
    async with serving(head_seconds=0.1) as (port, limits):
        reader, _ = await connect(port)
        await until_closed(reader)
        await until(lambda: limits.open.total() == 0)


@pytest.mark.attack(
    "send the rest of a body byte by byte", before="a body that no route reads never ended"
)
async def test_body_that_no_route_reads_ends_its_connection() -> None:
    async with serving(head_seconds=0.3) as (port, _):
        reader, writer = await connect(port)
        writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

        async def drip() -> None:
            for _ in range(500):
                writer.write(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        await until_closed(reader)
        dripping.cancel()


@pytest.mark.attack(
    "ask for much and read nothing", before="the answers stayed in the API's memory"
)
async def test_client_that_does_not_read_is_disconnected() -> None:
    async with serving(write_seconds=0.2) as (port, limits):
        _, writer = await connect(port)
        writer.write(LARGE)
        await until(lambda: limits.open.total() == 1)
        await until(lambda: limits.open.total() == 0)


async def test_answered_request_leaves_no_deadline_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[BoundedConnection] = []
    begin = BoundedConnection.connection_made

    def note(self: BoundedConnection, transport: asyncio.Transport) -> None:
        opened.append(self)
        begin(self, transport)

    monkeypatch.setattr(BoundedConnection, "connection_made", note)
    async with serving() as (port, _):
        reader, writer = await connect(port)
        await until(lambda: len(opened) == 1 and opened[0]._head is not None)
        for _ in range(3):
            writer.write(READYZ)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"xx")
            await until(lambda: opened[0]._head is None)


async def test_trusted_proxy_has_the_connections_of_all_its_clients() -> None:
    proxies = parse_networks(["127.0.0.0/8"])
    async with serving(most=20, most_per_peer=2, proxies=proxies) as (port, limits):
        held = [await connect(port) for _ in range(10)]
        await until(lambda: limits.open.total() == 10)
        assert (await ask(port)).startswith(b"HTTP/1.1 200")
        assert len(held) == 10


async def test_all_connections_together_have_a_limit() -> None:
    async with serving(most=5, most_per_peer=3) as (port, limits):
        held = [await connect(port, source=f"127.0.0.{number}") for number in range(1, 6)]
        await until(lambda: limits.open.total() == 5)
        assert (await ask(port, source="127.0.0.9")).startswith(b"HTTP/1.1 503")
        assert len(held) == 5
