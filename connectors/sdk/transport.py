"""The last gate before the wire: refuses writes where only reading is allowed, and hosts that are not on the list."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from enum import StrEnum

import httpx

from connectors.sdk.egress import Egress
from connectors.sdk.guard import is_reading, is_the_way_out, is_trusted, refused, trusted_io

_TRIES = 3  # addresses of one name


class Access(StrEnum):
    """What a connection was opened for. READ: plans, lookups, dry runs. WRITE: carrying out a recorded intent."""

    READ = "read"
    WRITE = "write"


class GuardedTransport(httpx.AsyncBaseTransport):
    """Judges each request, then connects to an address that was checked, so that DNS cannot change its mind in between.

    With `inner` (an emulator in this process) nothing is resolved and nothing is connected to.
    """

    def __init__(
        self,
        access: Access,
        is_read: Callable[[httpx.Request], bool],
        egress: Egress,
        *,
        inner: httpx.AsyncBaseTransport | None,
        trust: ssl.SSLContext | bool,
    ) -> None:
        self._access = access
        self._is_read = is_read
        self._egress = egress
        self._inner = inner
        self._trust = trust
        self._per_host: dict[
            str, _Pool
        ] = {}  # one pool per name: certificates are checked per name
        self._whole = True

    def __setattr__(self, name: str, value: object) -> None:
        """Stays as it was made: what it judges by is not the connector's to alter. Raises WriteRefused."""
        if "_whole" in vars(self):
            raise refused(f"it tried to alter {name.strip('_')} of our transport")
        super().__setattr__(name, value)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises WriteRefused, Rejected, Unavailable, or what httpx raises."""
        self._egress.admit(request.url)
        if not is_the_way_out(self):
            raise refused(
                f"{request.method} {request.url.path} through a client of its own; only self.http may send while it reads"
            )
        if (self._access is Access.READ or is_reading()) and not self._is_read(request):
            raise refused(
                f"{request.method} {request.url.path} changes something, and only reading is allowed here"
            )
        if self._inner is not None:
            with trusted_io():
                return await self._inner.handle_async_request(request)
        return await self._connect(request)

    async def aclose(self) -> None:
        """Close every pool."""
        for transport in (self._inner, *self._per_host.values()):
            if transport is not None:
                await transport.aclose()

    async def _connect(self, request: httpx.Request) -> httpx.Response:
        addresses = (await self._egress.addresses(request.url))[:_TRIES]
        pool = self._pool(request.url.host)
        for address in addresses[:-1]:
            try:
                return await _send(pool, request, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent: the next address may answer
        return await _send(pool, request, addresses[-1])

    def _pool(self, host: str) -> _Pool:
        if host not in self._per_host:
            self._per_host[host] = _Pool(verify=self._trust, trust_env=False, retries=0)
        return self._per_host[host]


class _Pool(httpx.AsyncHTTPTransport):
    """Connections that are open already need no `connect`, which the audit hook would see: so who sends on them is asked too."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if is_reading() and not is_trusted():
            raise refused(f"{request.method} {request.url.path} past our transport")
        return await super().handle_async_request(request)


async def _send(pool: _Pool, request: httpx.Request, address: str) -> httpx.Response:
    """Sends to the address; the Host header and the certificate check keep the name."""
    pinned = httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
    with trusted_io():
        return await pool.handle_async_request(pinned)
