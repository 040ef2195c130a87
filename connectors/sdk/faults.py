"""Fault injection for emulators: slow, busy, failing or lying systems, and lost replies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ABORT = "tocsin.abort"
"""ASGI scope key of a function that closes the client's connection, if the server has one."""


class ConnectionDropped(Exception):  # an event, not a mistake
    """The emulator dropped the connection. Raised only where no socket can be closed instead."""


class Fault(BaseModel):
    """One fault of an emulator.

    latency      waits `seconds`
    status       answers `status`, with Retry-After when `retry_after` is given
    lost_reply   applies the next request that has an effect, then closes the connection
    silent       answers the next request that has an effect as usual, but reverts the effect
    garbage      answers 200 with an unreadable body
    half_closed  sends half of the reply, then closes the connection
    """

    model_config = ConfigDict(extra="forbid")

    emulator: str
    kind: Literal["latency", "status", "lost_reply", "garbage", "half_closed", "silent"]
    status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after: Annotated[int | None, Field(ge=0, le=86_400)] = None
    """Seconds."""
    seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    match: str = ""
    """Only requests whose `METHOD path?query body` contains it."""
    times: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """The number of requests that it affects."""
    when: Literal["before", "after"] = "before"
    """Whether `status` and `garbage` replace the request or only its reply."""


class FaultyEmulator(Protocol):
    """The part of an emulator that the fault layer uses."""

    faults: list[Fault]
    effects: list[dict[str, Any]]

    def snapshot(self) -> Any:
        """Return state and effects."""

    def restore(self, snapshot: Any) -> None:
        """Replace state and effects with those of a snapshot."""


class FaultLayer:
    """ASGI middleware that passes each request to the emulator unless a fault is due."""

    def __init__(self, app: ASGIApp, emulator: FaultyEmulator) -> None:
        self._app = app
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request. Raises ConnectionDropped where the connection cannot be closed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        fault = self._due(
            f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')} "
            f"{body.decode('latin-1')}"
        )
        match fault:
            case None:
                await self._app(scope, _replay(body), send)
            case Fault(kind="latency", when="before"):
                _use(fault)
                await asyncio.sleep(fault.seconds)
                await self._app(scope, _replay(body), send)
            case Fault(kind="status" | "garbage", when="before"):
                _use(fault)
                await _reply(send, *_replacement(fault))
            case _:
                await self._after(fault, scope, body, send)

    async def _after(self, fault: Fault, scope: Scope, body: bytes, send: Send) -> None:
        """Handle the request, then send, change or drop its reply as the fault says."""
        before, count = self._emulator.snapshot(), self._count()
        answer = _BufferedReply()
        await self._app(scope, _replay(body), answer.take)
        effective = self._count() != count
        match fault.kind:
            case "lost_reply" if effective:
                _use(fault)
                await _drop(scope, "the reply was lost after the effect")
                return
            case "silent" if effective:
                _use(fault)
                self._emulator.restore(before)
            case "half_closed":
                _use(fault)
                await _send_half(send, answer)
                await _drop(scope, "the reply ended in the middle")
                return
            case "latency":
                _use(fault)
                await asyncio.sleep(fault.seconds)
            case "status" | "garbage":
                _use(fault)
                await _reply(send, *_replacement(fault))
                return
            case _:
                pass
        await answer.pass_on(send)

    def _due(self, line: str) -> Fault | None:
        self._emulator.faults[:] = [fault for fault in self._emulator.faults if fault.times > 0]
        return next((fault for fault in self._emulator.faults if fault.match in line), None)

    def _count(self) -> int:
        return sum(int(effect["count"]) for effect in self._emulator.effects)


class _BufferedReply:
    """A reply of the emulator that is not sent yet."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    async def pass_on(self, send: Send) -> None:
        for message in self.messages:
            await send(message)


def _use(fault: Fault) -> None:
    fault.times -= 1


def _replacement(fault: Fault) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    if fault.kind == "garbage":
        return 200, [(b"content-type", b"application/json")], b'\x00\xff{"status": <'
    waits = [] if fault.retry_after is None else [(b"retry-after", str(fault.retry_after).encode())]
    return fault.status, [(b"content-type", b"text/plain"), *waits], b"injected fault"


async def _read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replay(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _reply(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def _send_half(send: Send, answer: _BufferedReply) -> None:
    start, *rest = answer.messages
    body = b"".join(message.get("body", b"") for message in rest)
    await send(
        {
            **start,
            "headers": [
                *(h for h in start["headers"] if h[0] != b"content-length"),
                (b"content-length", b"100000"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def _drop(scope: Scope, why: str) -> None:
    abort: Callable[[], None] | None = scope.get(ABORT)
    if abort is None:
        raise ConnectionDropped(why)
    abort()
    # Let the server notice that the client is gone, so that it does not send a reply of its own.
    for _ in range(3):
        await asyncio.sleep(0)
