"""How an emulator misbehaves on demand: slow, busy, failing, lying, gone before or after the effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ABORT = "tocsin.abort"  # in the scope: a function that closes the client's connection at once, where the server has one


class ConnectionDropped(Exception):  # an event, not a mistake
    """The emulator closed the connection in the middle; only seen where no socket is between."""


class Fault(BaseModel):
    """One misbehaviour, `times` requests long.

    latency      waits `seconds` (`before` or `after` the request is handled)
    status       answers `status`, with Retry-After when `retry_after` is given (seconds)
    lost_reply   lets the next request that has an effect have it, then closes the connection without a word
    silent       answers the next request that would have an effect as always, but keeps the world as it was
    garbage      answers 200 with bytes that mean nothing
    half_closed  sends half a reply and closes
    `match`: only requests whose `METHOD path?query body` contains it. `status` and `garbage` happen instead of the
    request (`before`) or in place of its reply (`after`).
    """

    model_config = ConfigDict(extra="forbid")

    emulator: str
    kind: Literal["latency", "status", "lost_reply", "garbage", "half_closed", "silent"]
    status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after: Annotated[int | None, Field(ge=0, le=86_400)] = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    match: str = ""
    times: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    when: Literal["before", "after"] = "before"


class Misbehaving(Protocol):
    """What the fault layer needs of an emulator."""

    faults: list[Fault]
    effects: list[dict[str, Any]]

    def snapshot(self) -> Any:
        """World and effects."""

    def restore(self, snapshot: Any) -> None:
        """Puts a snapshot back."""


class FaultLayer:
    """ASGI: hands each request to the emulator, unless a fault is due."""

    def __init__(self, app: ASGIApp, emulator: Misbehaving) -> None:
        self._app = app
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ConnectionDropped where the server gives no way to close the connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _whole(receive)
        fault = self._due(
            f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')} {body.decode('latin-1')}"
        )
        match fault:
            case None:
                await self._app(scope, _again(body), send)
            case Fault(kind="latency", when="before"):
                _use(fault)
                await asyncio.sleep(fault.seconds)
                await self._app(scope, _again(body), send)
            case Fault(kind="status" | "garbage", when="before"):
                _use(fault)
                await _reply(send, *_instead(fault))
            case _:
                await self._after(fault, scope, body, send)

    async def _after(self, fault: Fault, scope: Scope, body: bytes, send: Send) -> None:
        """Lets the emulator answer into our hands first; what the client gets is up to the fault."""
        before, count = self._emulator.snapshot(), self._count()
        answer = _Answer()
        await self._app(scope, _again(body), answer.take)
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
                await _half(send, answer)
                await _drop(scope, "the reply ended in the middle")
                return
            case "latency":
                _use(fault)
                await asyncio.sleep(fault.seconds)
            case "status" | "garbage":
                _use(fault)
                await _reply(send, *_instead(fault))
                return
            case _:
                pass
        await answer.pass_on(send)

    def _due(self, line: str) -> Fault | None:
        self._emulator.faults[:] = [fault for fault in self._emulator.faults if fault.times > 0]
        return next((fault for fault in self._emulator.faults if fault.match in line), None)

    def _count(self) -> int:
        return sum(int(effect["count"]) for effect in self._emulator.effects)


class _Answer:
    """What the emulator sent, kept back."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    async def pass_on(self, send: Send) -> None:
        for message in self.messages:
            await send(message)


def _use(fault: Fault) -> None:
    fault.times -= 1


def _instead(fault: Fault) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    if fault.kind == "garbage":
        return 200, [(b"content-type", b"application/json")], b'\x00\xff{"status": <'
    waits = [] if fault.retry_after is None else [(b"retry-after", str(fault.retry_after).encode())]
    return fault.status, [(b"content-type", b"text/plain"), *waits], b"injected fault"


async def _whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _again(body: bytes) -> Receive:
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


async def _half(send: Send, answer: _Answer) -> None:
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
    for _ in range(
        3
    ):  # let the server notification that its client is gone, so that it does not answer in our place
        await asyncio.sleep(0)
