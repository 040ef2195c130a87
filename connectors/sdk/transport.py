"""The guarded HTTP transport: refuses writes during a read, and hosts outside the allow-list."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from enum import StrEnum

import httpx

from connectors.sdk.call import span
from connectors.sdk.egress import Egress
from connectors.sdk.guard import is_reading, is_transport_of_call, is_trusted, refusal, trusted_io
from connectors.sdk.proxy.choice import Proxy
from connectors.sdk.proxy.passage import Passage

_MAX_ADDRESSES = 3  # of one name, tried in order


class Access(StrEnum):
    """What a connector is opened for."""

    READ = "read"  # plans, lookups, verification, dry runs
    WRITE = "write"  # applying and undoing recorded changes


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks each request, then connects to the address that it checked: no DNS rebinding.

    With `proxy`, the proxy resolves the name and connects; what this machine resolves is checked as
    well. With `inner` (an emulator in this process), nothing is resolved and no socket is opened.
    """

    def __init__(
        self,
        access: Access,
        is_read: Callable[[httpx.Request], bool],
        egress: Egress,
        *,
        inner: httpx.AsyncBaseTransport | None,
        trust: ssl.SSLContext | bool,
        proxy: Proxy | None = None,
    ) -> None:
        self._access = access
        self._is_read = is_read
        self._egress = egress
        self._inner = inner
        self._trust = trust
        self._proxy = proxy
        # One pool per name, because certificates are checked per name.
        self._per_host: dict[str, _GuardedPool] = {}
        self._is_complete = True

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse every assignment after construction. Raises WriteRefused."""
        if "_is_complete" in vars(self):
            raise refusal(f"alter {name.strip('_')} of the connection's transport")
        super().__setattr__(name, value)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request. Raises WriteRefused, Rejected, Unavailable, or an error of httpx."""
        self._egress.check(request.url)
        if not is_transport_of_call(self):
            raise refusal(
                f"{request.method} {request.url.path} through another HTTP client; "
                "only self.http may send during a read"
            )
        if (self._access is Access.READ or is_reading()) and not self._is_read(request):
            raise refusal(
                f"{request.method} {request.url.path} is a write, and only reads are allowed here"
            )
        about = {"http.request.method": request.method, "server.address": request.url.host}
        with span(f"HTTP {request.method}", about) as measured:
            response = await self._send(request)
            if measured is not None:
                measured.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        if self._inner is not None:
            with trusted_io():
                return await self._inner.handle_async_request(request)
        if self._proxy is not None:
            return await self._pass(self._proxy, request)
        return await self._connect(request)

    async def aclose(self) -> None:
        """Close every pool."""
        for transport in (self._inner, *self._per_host.values()):
            if transport is not None:
                await transport.aclose()

    async def _connect(self, request: httpx.Request) -> httpx.Response:
        addresses = (await self._egress.addresses(request.url))[:_MAX_ADDRESSES]
        pool = self._pool(request.url.host)
        for address in addresses[:-1]:
            try:
                return await _send(pool, request, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent: the next address may answer
        return await _send(pool, request, addresses[-1])

    async def _pass(self, proxy: Proxy, request: httpx.Request) -> httpx.Response:
        """Send through the proxy. The URL keeps the name, by which proxies allow hosts."""
        await self._egress.check_proxy(proxy.host, proxy.port)
        await self._egress.check_resolved(request.url)
        pool = self._pool(request.url.host)
        with trusted_io():
            return await Passage(proxy, request).send(pool, request)

    def _pool(self, host: str) -> _GuardedPool:
        if host not in self._per_host:
            self._per_host[host] = _GuardedPool(
                verify=self._trust, trust_env=False, retries=0, proxy=self._httpx_proxy()
            )
        return self._per_host[host]

    def _httpx_proxy(self) -> httpx.Proxy | None:
        proxy, trust = self._proxy, self._trust
        if proxy is None:
            return None
        context = trust if isinstance(trust, ssl.SSLContext) and proxy.is_encrypted else None
        return httpx.Proxy(proxy.url, auth=proxy.credential, ssl_context=context)


class _GuardedPool(httpx.AsyncHTTPTransport):
    """A connection pool that checks the sender: a pooled connection needs no `connect` to audit."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if is_reading() and not is_trusted():
            raise refusal(f"{request.method} {request.url.path} around the connection's transport")
        return await super().handle_async_request(request)


async def _send(pool: _GuardedPool, request: httpx.Request, address: str) -> httpx.Response:
    """Send to the address. The Host header and the certificate check keep the name."""
    pinned = httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
    with trusted_io():
        return await pool.handle_async_request(pinned)
