"""The instant local target: the lab's emulators in memory, with a clock on who called first and when it was contained."""

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
    """Notes, for each address, when its first lookup came in (seconds since the epoch)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.first: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the lab; only the clock is ours."""
        if scope["type"] == "http" and (match := _FIRST.match(scope["path"])):
            self.first.setdefault(match[1], time.time())
        await self._app(scope, receive, send)


def app() -> ASGIApp:
    """The lab, and beside it `GET /_bench/contained/{address}`: waits until it is, and tells both moments."""
    lab = lab_app()
    clocked = Clocked(lab)
    firewall = lab.state.emulators["palo_alto"]
    firewall.record_effect = lambda *_args, **_more: (
        None
    )  # a list of every effect ever would be what is measured

    async def contained(request: Request) -> Response:
        address = request.path_params["address"]
        for _ in range(12_000):  # a minute
            if address in firewall.tags:
                return JSONResponse({"first": clocked.first.get(address), "contained": time.time()})
            await asyncio.sleep(0.005)
        return JSONResponse({"first": clocked.first.get(address), "contained": None}, 504)

    lab.router.routes.insert(0, Route("/_bench/contained/{address}", contained))
    return clocked


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
