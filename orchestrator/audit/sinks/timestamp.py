"""A sink that has checkpoints time-stamped by an authority (RFC 3161), and keeps its answers.

The authority keeps nothing: it does not count where a sink is required.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from datetime import timedelta
from pathlib import Path

import httpx

from orchestrator.audit.sinks.sink import SEND_SECONDS, SinkDelivery, SinkUnavailable
from orchestrator.audit.timestamp import (
    Authorities,
    Timestamp,
    last_timestamp,
    make_timestamp,
    request_for,
)
from orchestrator.domain.clock import Clock

SCHEME = "rfc3161+https"
EVERY = timedelta(minutes=1)
"""How often the authority is asked at most."""

_MAX_ANSWER = 256 * 1024
_TAIL = 512 * 1024


class TimestampSink:
    """An authority, and the file of its time stamps. The newest batch is stamped once a minute."""

    def __init__(
        self, url: str, file: Path, authorities: Authorities, tls: ssl.SSLContext, clock: Clock
    ) -> None:
        self.name = url
        self._url = url.removeprefix("rfc3161+")
        self._file, self._authorities, self._tls, self._clock = file, authorities, tls, clock
        self._asked_at = clock() - EVERY

    async def send(self, delivery: SinkDelivery) -> None:
        """Have the checkpoint stamped, unless the authority was asked a moment ago."""
        checkpoint, now = delivery.checkpoint, self._clock()
        if now - self._asked_at < EVERY:
            return  # an idle trail is delivered again
        try:
            last = await asyncio.to_thread(self._last)
            if last is not None and last.checkpoint == checkpoint:
                return
            request = request_for(checkpoint)
            answer = await self._ask(request.as_bytes())
            try:
                self._authorities.check(answer, checkpoint.line(), request)
            except ValueError as error:
                raise SinkUnavailable(
                    f"{self.name}: its time stamp is not valid ({error}); check the authority and "
                    "audit_sinks_tsa_ca_file"
                ) from error
            await asyncio.to_thread(self._append, make_timestamp(checkpoint, answer))
        except (httpx.HTTPError, OSError) as error:
            raise SinkUnavailable(f"{self.name}: {type(error).__name__}: {error}") from error
        self._asked_at = now

    async def _ask(self, request: bytes) -> bytes:
        headers = {"content-type": "application/timestamp-query"}
        async with (
            httpx.AsyncClient(verify=self._tls, timeout=SEND_SECONDS, trust_env=False) as client,
            client.stream("POST", self._url, content=request, headers=headers) as reply,
        ):
            if reply.status_code != httpx.codes.OK:
                raise SinkUnavailable(f"{self.name}: answered with status {reply.status_code}")
            answer = b""
            async for piece in reply.aiter_raw():
                answer += piece
                if len(answer) > _MAX_ANSWER:
                    raise SinkUnavailable(f"{self.name}: answered with more than a time stamp")
        return answer

    def _last(self) -> Timestamp | None:
        try:
            with self._file.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
                return last_timestamp(file.read())
        except FileNotFoundError:
            return None

    def _append(self, stamp: Timestamp) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(self._file, flags, 0o600), "ab", buffering=0) as file:
            file.write(stamp.line())
            os.fsync(file.fileno())
