"""Senders of webhooks: as lean as they can be, so that the server is measured and not they."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_ALERT = re.compile(rb'"alert_id":"(\w+)"')
_RETRY = re.compile(rb"\r\nretry-after: (\d+)", re.IGNORECASE)

Bodies = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """Where deliveries go."""

    port: int
    path: str
    secret: str = ""

    def request(self, body: bytes) -> bytes:
        """Return the bytes of a request."""
        return (
            f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {self.secret}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body


@dataclass(slots=True)
class Answers:
    """What came back. Latencies in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    alert_ids: set[bytes] = field(default_factory=set)
    """The first alert of each answer."""
    refused: dict[int, int] = field(default_factory=dict)
    """How many answers were neither 200 nor 202, by status."""
    retry_after: int = 0
    """How many of those say when to try again."""

    @property
    def rate(self) -> float:
        """Accepted deliveries per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def note(self, status: int, answer: bytes, seconds: float) -> None:
        """Count an answer."""
        if status not in {200, 202}:
            self.refused[status] = self.refused.get(status, 0) + 1
            self.retry_after += _RETRY.search(answer) is not None
            return
        self.latencies.append(seconds)
        if match := _ALERT.search(answer):
            self.alert_ids.add(match[1])

    def percentile(self, percent: float) -> float:
        """Return a latency in milliseconds; 0 without answers."""
        ordered = sorted(self.latencies)
        return (
            1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
            if ordered
            else 0.0
        )


class _Connection(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        answer, self._buffer = self._buffer, b""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((int(head[9:12]), answer))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("closed without an answer"))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError("the server closed the connection")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def connect(port: int) -> _Connection:
    """Return a connection."""
    _, connection = await asyncio.get_running_loop().create_connection(
        _Connection, "127.0.0.1", port
    )
    return connection


async def closed_loop(
    target: Target, bodies: Bodies, senders: int, *, seconds: float = 3600, most: int = 10**9
) -> Answers:
    """Let each sender send the next delivery once the one before is answered."""
    found, began = Answers(), time.perf_counter()
    left = most

    async def sender() -> None:
        nonlocal left
        connection = await connect(target.port)
        while left > 0 and time.perf_counter() - began < seconds:
            left -= 1
            sent = time.perf_counter()
            try:
                status, answer = await connection.send(target.request(next(bodies)))
            except OSError:
                found.refused[0] = found.refused.get(0, 0) + 1
                connection = await connect(target.port)
                continue
            found.note(status, answer, time.perf_counter() - sent)
        connection.close()

    await asyncio.gather(*(sender() for _ in range(senders)))
    found.seconds = time.perf_counter() - began
    return found


async def open_loop(
    target: Target,
    bodies: Bodies,
    rate: float,
    *,
    seconds: float = 3600,
    until: asyncio.Event | None = None,
    connections: int = 64,
) -> Answers:
    """Send at a rate, whatever the answers take. Latencies count from when a delivery is due."""
    found, began = Answers(), time.perf_counter()
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await connect(target.port))
    tasks: set[asyncio.Task[None]] = set()

    async def deliver(due: float, body: bytes) -> None:
        connection = await free.get()
        status, answer = await connection.send(target.request(body))
        found.note(status, answer, time.perf_counter() - due)
        free.put_nowait(connection)

    number = 0
    while (due := began + number / rate) < began + seconds and not (until and until.is_set()):
        if (pause := due - time.perf_counter()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), pause) if until else await asyncio.sleep(pause)
        task = asyncio.create_task(deliver(due, next(bodies)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    await asyncio.gather(*tasks)
    found.seconds = time.perf_counter() - began
    while not free.empty():
        free.get_nowait().close()
    return found


async def deliver_once(target: Target, body: bytes) -> tuple[int, bytes, float]:
    """Send one delivery. Return status, answer and seconds."""
    connection, began = await connect(target.port), time.perf_counter()
    status, answer = await connection.send(target.request(body))
    connection.close()
    return status, answer, time.perf_counter() - began
