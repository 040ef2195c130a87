"""The local target: the lab's emulators in memory, which note each first call and containment."""

from __future__ import annotations

import asyncio
import re
import sys
import time

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.lab import lab_app

_FIRST = re.compile(r"/virustotal/api/v3/ip_addresses/([0-9.]+)$")


class Clocked:
    """Notes when each address was first looked up, in seconds since the epoch."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.first: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the time, and pass the request on to the lab."""
        if scope["type"] == "http" and (match := _FIRST.match(scope["path"])):
            self.first.setdefault(match[1], time.time())
        await self._app(scope, receive, send)


def app() -> ASGIApp:
    """Return the lab with `GET /_bench/contained/{address}`, which waits for both times.

    And with `GET /_bench/first/{address}`, which waits for the first lookup.
    """
    lab = lab_app()
    clocked = Clocked(lab)
    firewall = lab.state.emulators["palo_alto"]
    # Otherwise the growth of the list of effects would be measured.
    firewall.record_effect = lambda *_args, **_more: None

    async def contained(request: Request) -> Response:
        address = request.path_params["address"]
        for _ in range(12_000):  # a minute
            if address in firewall.tags:
                return JSONResponse({"first": clocked.first.get(address), "contained": time.time()})
            await asyncio.sleep(0.005)
        return JSONResponse({"first": clocked.first.get(address), "contained": None}, 504)

    async def first(request: Request) -> Response:
        address = request.path_params["address"]
        for _ in range(60_000):  # five minutes
            if (moment := clocked.first.get(address)) is not None:
                return JSONResponse({"first": moment})
            await asyncio.sleep(0.005)
        return JSONResponse({"first": None}, 504)

    lab.router.routes.insert(0, Route("/_bench/contained/{address}", contained))
    lab.router.routes.insert(0, Route("/_bench/first/{address}", first))
    return clocked


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
