"""The outermost middleware: request ids, security and kill switch headers, and load limits."""

from __future__ import annotations

import re
import secrets
import time
from http import HTTPStatus

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.body import BoundedBody
from api.client_address import client_of, parse_networks, scheme_of
from api.container import Container
from api.limits.rates import RateExceeded, address_of, noted, spend
from api.methods import HeadSender, as_get
from api.metrics import known_method
from api.problems import ProblemResponse, problem, unexpected
from connectors.sdk.call import span

MAX_CONCURRENT = 1000
"""Requests that are answered at the same time; more are asked to retry."""

_PROBES = {"/livez", "/readyz", "/metrics"}
_log = structlog.get_logger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_HSTS = "max-age=31536000"
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ResponseMiddleware:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, container: Container) -> None:
        self._app, self._container = app, container
        self._limit = container.rt.settings.max_body_bytes
        self._proxies = parse_networks(container.rt.settings.trusted_proxies)
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and measure how long that takes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = _request_id(scope)
        scope["scheme"] = scheme_of(scope, self._proxies)  # before the client takes its place
        scope["client"] = client_of(scope, self._proxies)
        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "HEAD":
            scope, send = as_get(scope), HeadSender(send)
        body = BoundedBody(scope, receive, self._limit)
        marks = await self._container.state.headers()
        response = _HeaderSender(send, scope, marks, body)
        began = time.perf_counter()
        self._open += 1
        try:
            if scope["path"] in _PROBES:
                await self._respond(scope, body, response)
            else:
                await self._trace(scope, body, response)
        finally:
            self._open -= 1
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - began
            self._container.metrics.observe_request(method, route, response.status, seconds)
            _log_access(scope, method, route, response.status, seconds)

    async def _trace(self, scope: Scope, body: BoundedBody, response: _HeaderSender) -> None:
        """Answer within a span, which has the route: the path and the query may hold a secret."""
        method = known_method(scope["method"])
        about = {"http.request.method": method, "tocsin.request_id": scope["request_id"]}
        with span(method, about) as measured:
            await self._respond(scope, body, response)
            if measured is not None:
                route = getattr(scope.get("route"), "path", "none")
                measured.update_name(f"{method} {route}")
                measured.set_attribute("http.route", route)
                measured.set_attribute("http.response.status_code", response.status)

    async def _respond(self, scope: Scope, body: BoundedBody, response: _HeaderSender) -> None:
        request = Request(scope)
        refusal = self._refusal(request)
        try:
            if refusal is not None:
                await refusal(scope, body, response)
                return
            await self._app(scope, body, response)
        except Exception as error:
            failure = unexpected(request, error)
            if response.status:
                raise  # the response has begun: all that is left is to cut it off
            await failure(scope, body, response)

    def _refusal(self, request: Request) -> ProblemResponse | None:
        if self._open > MAX_CONCURRENT:
            return problem(
                request,
                503,
                "too many requests at the same time; try again",
                headers={"Retry-After": "1"},
            )
        if "\x00" in request.scope["path"] or b"%00" in request.scope["query_string"]:
            return problem(request, 400, "the URL contains a NUL character; remove it")
        if request.scope["path"] not in _PROBES:
            try:
                spend(request.scope, self._container.rates.address, address_of(request.scope))
            except RateExceeded as exceeded:
                return problem(request, exceeded.status_code, str(exceeded.detail))
        return None


def _log_access(scope: Scope, method: str, route: str, status: int, seconds: float) -> None:
    """Log an answered request by its route: the path and the query may hold a secret."""
    state = scope.get("state", {})
    principal = state.get("principal")
    is_probe = route in _PROBES and status < HTTPStatus.BAD_REQUEST
    (_log.debug if is_probe else _log.info)(
        "request answered",
        method=method,
        route=route,
        status=status,
        milliseconds=round(seconds * 1000, 1),
        person=principal.person if principal else None,
        client=scope["client"][0] if scope.get("client") else None,
        **state.get("logged", {}),
    )


class _HeaderSender:
    """An ASGI `send` that adds the headers."""

    def __init__(self, send: Send, scope: Scope, marks: dict[str, str], body: BoundedBody) -> None:
        self._send, self._scope, self._marks, self._body = send, scope, marks, body
        self.status = 0
        """The HTTP status; 0 until the response has begun."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            defaults = {"X-Request-Id": self._scope["request_id"], **_SECURITY_HEADERS}
            if self._scope["scheme"] == "https":
                defaults["Strict-Transport-Security"] = _HSTS
            for name, value in defaults.items():
                headers.setdefault(name, value)
            if (rate := noted(self._scope)) is not None:
                headers.update(rate.headers)
            for name, value in self._marks.items():
                headers[name] = value
            if self._body.refused:
                headers["Connection"] = "close"
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """Return the client's request id where it is harmless, otherwise a new one."""
    given = [value for name, value in scope["headers"] if name.lower() == b"x-request-id"]
    return (
        given[0].decode()
        if len(given) == 1 and _REQUEST_ID.fullmatch(given[0])
        else secrets.token_hex(8)
    )
