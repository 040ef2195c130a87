"""The passage of one request through a proxy, and the error that each of its failures means.

httpx reports every refusal of a proxy by one exception. The `trace` extension of httpcore, which is
part of its API, says how far the request came: whether the proxy answered, with which status, and
whether anything reached the target. A failure before that is never `Unknown`.
"""

from __future__ import annotations

from typing import Any

import httpx

from connectors.sdk.proxy.choice import Proxy
from orchestrator.domain.errors import ActionError, Rejected, Unavailable

_WRONG_CREDENTIAL = 407


class Passage:
    """How far one request came through a proxy."""

    def __init__(self, proxy: Proxy, request: httpx.Request) -> None:
        self._proxy, self._target = proxy, request.url.host
        self._tunnels = request.url.scheme == "https"
        self._opening = self._connected = self._open = False
        self._status: int | None = None
        request.extensions = {**request.extensions, "trace": self._trace}

    async def send(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        """Send the request. Raise Unavailable or Rejected where the proxy did not pass it on."""
        try:
            response = await transport.handle_async_request(request)
        except httpx.ProxyError:
            raise self._refusal() from None
        except httpx.TransportError as error:
            if not self._opening or self._open:
                raise  # the request was on its way to the target
            raise self._failure(error) from None
        if response.status_code == _WRONG_CREDENTIAL and not self._tunnels:
            await response.aclose()
            self._status = _WRONG_CREDENTIAL
            raise self._refusal()
        return response

    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        match event:
            case "connection.connect_tcp.started":
                self._opening = True
            case "connection.connect_tcp.complete":
                self._connected = True
                self._open = not self._tunnels
            case "http11.receive_response_headers.complete" if self._status is None:
                self._status = info["return_value"][1]
            case "proxy.start_tls.complete":
                self._open = True
            case _:
                pass

    def _refusal(self) -> ActionError:
        name, status = self._proxy.name, self._status
        if status == _WRONG_CREDENTIAL:
            return Rejected(
                f"the proxy {name} requires a user and a password, or refuses those of this "
                "connection (407); check proxy_user and proxy_password, or outbound_proxy"
            )
        if status is None or status == 429 or status >= 500:
            return Unavailable(f"the proxy {name} cannot reach {self._target} ({status})")
        return Rejected(
            f"the proxy {name} refuses to connect to {self._target} ({status}); "
            "allow the host there, or set the connection's proxy"
        )

    def _failure(self, error: httpx.TransportError) -> Unavailable:
        kind = type(error).__name__
        if not self._connected:
            return Unavailable(
                f"cannot connect to the proxy {self._proxy.name} ({kind}); {self._target} is "
                "reached only through it; check that it runs, and the connection's proxy"
            )
        return Unavailable(
            f"cannot connect to {self._target} through the proxy {self._proxy.name} ({kind})"
        )
