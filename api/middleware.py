"""What does every answer carry, whatever it says? A request id, the headers that browsers heed, and the kill switches that are on."""

from __future__ import annotations

import re
import secrets
import time

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.body import BoundedBody
from api.container import Parts
from api.kill_switch_header import HEADER
from api.problems import ProblemResponse, problem, unexpected

AT_ONCE = 1000
"""Requests that are answered at the same time; more are told to come back."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Envelope:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app, self._parts = app, parts
        self._limit = parts.rt.settings.max_body_bytes
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = _request_id(scope)
        body = BoundedBody(scope, receive, self._limit)
        answer = _Answer(send, scope["request_id"], await self._parts.switches.header(), body)
        began = time.perf_counter()
        self._open += 1
        try:
            await self._answer(scope, body, answer)
        finally:
            self._open -= 1
            route = getattr(scope.get("route"), "path", "none")
            self._parts.metrics.answered(
                scope["method"], route, answer.status, time.perf_counter() - began
            )

    async def _answer(self, scope: Scope, body: BoundedBody, answer: _Answer) -> None:
        request = Request(scope)
        refusal = self._refusal(request)
        try:
            if refusal is not None:
                await refusal(scope, body, answer)
                return
            await self._app(scope, body, answer)
        except Exception as error:
            said = unexpected(request, error)
            if answer.status:
                raise  # the answer has begun: all that is left is to cut it off
            await said(scope, body, answer)

    def _refusal(self, request: Request) -> ProblemResponse | None:
        if self._open > AT_ONCE:
            return problem(
                request,
                503,
                "too many requests are being answered; try again",
                headers={"Retry-After": "1"},
            )
        if "\x00" in request.scope["path"] or b"%00" in request.scope["query_string"]:
            return problem(request, 400, "the address holds a NUL, which no name has")
        return None


class _Answer:
    """An ASGI `send` that adds the headers. `status`: 0 until the answer has begun."""

    def __init__(
        self, send: Send, request_id: str, switches: bytes | None, body: BoundedBody
    ) -> None:
        self._send, self._request_id, self._switches, self._body = send, request_id, switches, body
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in {"X-Request-Id": self._request_id, **_ALWAYS}.items():
                headers.setdefault(name, value)
            if self._switches is not None:
                headers[HEADER.decode()] = self._switches.decode()
            if self._body.refused:
                headers["Connection"] = "close"
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The sender's, where it is harmless; else one of ours."""
    given = [value for name, value in scope["headers"] if name.lower() == b"x-request-id"]
    return (
        given[0].decode()
        if len(given) == 1 and _REQUEST_ID.fullmatch(given[0])
        else secrets.token_hex(8)
    )
