"""A forward proxy on the loopback that records what passes, and connects every name to one port."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import Self

import httpx


class ForwardProxy:
    """A real HTTP proxy. Every target is at `upstream`; `refuse`: the status it answers instead."""

    def __init__(
        self, upstream: str, *, credential: str | None = None, refuse: int | None = None
    ) -> None:
        self._upstream = httpx.URL(upstream)
        self._expected = credential and base64.b64encode(credential.encode()).decode()
        self._refuse = refuse
        self.asked: list[str] = []
        """The request line of each request, in order."""
        self.passed = b""
        """Everything that clients sent to their targets."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"http://{self.address}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            try:
                await self._exchange(reader, writer)
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, fields = head.partition(b"\r\n")
        method, target, _version = line.decode().split()
        self.asked.append(f"{method} {target}")
        given = f"Basic {self._expected}".encode() in fields
        status = self._refuse or (407 if self._expected and not given else 200)
        if status != 200:
            # A hostile proxy repeats the credential.
            echo = fields.replace(b"\r\n", b" ")[:400]
            writer.write(
                b"HTTP/1.1 %d Refused %s\r\nContent-Length: 0\r\n\r\n" % (status, echo[:80])
            )
            await writer.drain()
            return
        far, to_far = await asyncio.open_connection(self._upstream.host, self._upstream.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            path = httpx.URL(target).raw_path
            kept = b"\r\n".join(
                field
                for field in (b"Connection: close", *fields.split(b"\r\n"))
                if not field.lower().startswith((b"proxy-", b"connection: keep"))
            )
            to_far.write(b"%s %s HTTP/1.1\r\n%s" % (method.encode(), path, kept))
            self.passed += kept
        try:
            await asyncio.gather(self._pipe(reader, to_far), self._pipe(far, writer, keep=False))
        finally:
            to_far.close()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool = True
    ) -> None:
        while piece := await reader.read(65536):
            if keep:
                self.passed += piece
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
