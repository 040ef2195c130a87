"""Methods of a path: HEAD wherever there is GET, OPTIONS, and the full Allow of a 405."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Message, Scope, Send


class Methods:
    """The methods of each path of the app, from its routes."""

    def __init__(self, routes: Iterable[APIRoute]) -> None:
        self._routes = tuple(routes)

    def allowed(self, path: str) -> str:
        """Return the value of Allow for a path."""
        found = {
            method
            for route in self._routes
            if route.path_regex.match(path)
            for method in route.methods or ()
        }
        if "GET" in found:
            found.add("HEAD")
        return ", ".join(sorted(found | {"OPTIONS"}))


def options(request: Request, methods: Methods) -> Response:
    """Answer OPTIONS: no content, only what the path allows."""
    return Response(status_code=204, headers={"Allow": methods.allowed(request.scope["path"])})


def as_get(scope: Scope) -> Scope:
    """Return the scope of a HEAD request as that of the GET whose headers it asks for."""
    return {**scope, "method": "GET"}


class HeadSender:
    """An ASGI `send` that leaves out the body."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ended = False

    async def __call__(self, message: Message) -> None:
        """Send the headers, and one empty body at the end."""
        if message["type"] != "http.response.body":
            await self._send(message)
        elif not message.get("more_body", False) and not self._ended:
            self._ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
