"""The HTTP client of a connection: one host, no redirects, bounded replies, typed errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from connectors.sdk.call import current_call
from connectors.sdk.egress import Egress
from connectors.sdk.guard import is_reading
from connectors.sdk.proxy.choice import Proxy
from connectors.sdk.rate_limit import RateLimit, TokenBucket
from connectors.sdk.reply import HttpReply, RetryAfter, check_status
from connectors.sdk.transport import Access, GuardedTransport
from orchestrator.domain.errors import ActionError, Rejected, Unavailable, Unknown
from orchestrator.domain.untrusted.decompression import OverLimit, UnknownCoding, decompress

CODINGS = "gzip, deflate"
"""The content codings of replies, of which a reply may have one."""

_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


class HttpClient:
    """The HTTP client of one connection.

    `base_url=None` reaches no host; `allow_hosts` are further URLs whose origin may be called.
    `is_read` distinguishes reads from writes. `timeout` limits a request together with its reply.
    `secrets` are removed from every message. `retry_after` reads a vendor-specific wait time;
    Retry-After needs no hook. With `proxy`, every request passes it, and none goes around it.
    """

    def __init__(
        self,
        base_url: str | None,
        *,
        access: Access,
        is_read: Callable[[httpx.Request], bool],
        rate_limit: RateLimit | None = None,
        timeout: timedelta = timedelta(seconds=20),
        headers: Mapping[str, str] | None = None,
        allow_hosts: Iterable[str] = (),
        transport: httpx.AsyncBaseTransport | None = None,
        max_response_bytes: int = 4 * 1024 * 1024,
        secrets: Iterable[str] = (),
        retry_after: RetryAfter | None = None,
        trust: ssl.SSLContext | bool = True,
        egress: Egress | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self.access = access
        self.is_read = is_read
        self._bucket = TokenBucket(rate_limit) if rate_limit else None
        self._timeout = timeout
        self._max_bytes = max_response_bytes
        known = (*secrets, *(proxy.secrets if proxy else ()))
        self._secrets = tuple(secret for secret in known if secret)
        self._retry_after = retry_after
        egress = egress or Egress([url for url in (base_url, *allow_hosts) if url])
        self.transport = GuardedTransport(
            access, is_read, egress, inner=transport, trust=trust, proxy=proxy
        )
        self._client = httpx.AsyncClient(
            base_url=base_url or "",
            transport=self.transport,
            headers={"User-Agent": "tocsin", "Accept-Encoding": CODINGS, **(headers or {})},
            timeout=httpx.Timeout(
                timeout.total_seconds(), connect=min(5.0, timeout.total_seconds())
            ),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )

    async def get(self, path: str, **options: Any) -> HttpReply:
        """Send a GET; see `request`."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> HttpReply:
        """Send a POST; see `request`."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> HttpReply:
        """Send a PUT; see `request`."""
        return await self.request("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> HttpReply:
        """Send a PATCH; see `request`."""
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> HttpReply:
        """Send a DELETE; see `request`."""
        return await self.request("DELETE", path, **options)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: Any = None,
        data: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        ok_statuses: Collection[int] = (),
    ) -> HttpReply:
        """Send a request and return its reply: a 2xx, or a status in `ok_statuses`.

        A write carries the call's tag as `Idempotency-Key`. Raises WriteRefused; Unavailable when
        nothing happened and a retry may help; Rejected; Unknown when a write may have happened.
        """
        _refuse_dots(path)
        request = self._client.build_request(
            method,
            path,
            params=params,
            json=json,
            data=data,
            content=content,
            headers=dict(headers or {}),
        )
        writes = not self.is_read(request)
        if writes and (call := current_call.get()) is not None:
            request.headers.setdefault("Idempotency-Key", call.tag)
        if self._bucket and not (writes and (self.access is Access.READ or is_reading())):
            await self._bucket.take()
        reply = await self._exchange(request, writes=writes)
        check_status(reply, ok_statuses, self._retry_after)
        return reply

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(self, request: httpx.Request, *, writes: bool) -> HttpReply:
        endpoint = f"{request.method} {request.url.path}"
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                response = await self._client.send(request, stream=True)
                try:
                    content = await self._read(response, endpoint, writes=writes)
                finally:
                    await response.aclose()
        except ActionError:
            raise
        except _NOTHING_SENT as error:
            message = f"{endpoint}: cannot connect to {request.url.host} ({type(error).__name__})"
            raise Unavailable(message) from None
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError) as error:
            raise lost_reply(f"{endpoint}: {_describe(error)}", writes=writes) from None
        except ExceptionGroup as group:
            if (action_error := _first_action_error(group)) is not None:
                raise action_error from None
            raise
        return HttpReply(
            response.status_code,
            response.headers,
            content,
            request,
            writes=writes,
            secrets=self._secrets,
        )

    async def _read(self, response: httpx.Response, endpoint: str, *, writes: bool) -> bytes:
        """Return the whole reply, decompressed. httpx would decode any number of codings."""
        content = bytearray()
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            raise lost_reply(f"{endpoint}: the reply cannot be read", writes=writes)
        async for piece in stream:
            content += piece
            if len(content) > self._max_bytes:
                raise _refused(
                    f"{endpoint}: the reply is longer than {self._max_bytes} bytes", writes
                )
        try:
            coding = response.headers.get("Content-Encoding", "")
            return decompress(bytes(content), coding, self._max_bytes)
        except UnknownCoding as error:
            message = f"{endpoint}: the reply has the content coding {str(error)!a}, which is not"
            raise _refused(f"{message} read; one of {CODINGS} is", writes) from None
        except OverLimit as error:
            raise _refused(f"{endpoint}: the reply is too large: {error}", writes) from None
        except ValueError as error:
            raise lost_reply(f"{endpoint}: the reply is {error}", writes=writes) from None


def lost_reply(message: str, *, writes: bool) -> ActionError:
    """Return the error for a missing or unreadable reply: Unknown for a write, else Unavailable."""
    return Unknown(message) if writes else Unavailable(message)


def _refused(message: str, writes: bool) -> ActionError:  # noqa: FBT001 - private, as in `lost_reply`
    """Return the error for a reply that would be the same again."""
    return Unknown(message) if writes else Rejected(message)


def _describe(error: Exception) -> str:
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return "no reply in time"
    return f"the connection broke before the reply was complete ({type(error).__name__})"


def _refuse_dots(path: str) -> None:
    if any(
        part in {".", ".."}
        for part in path.partition("?")[0].replace("%2e", ".").replace("%2E", ".").split("/")
    ):
        message = f"the path {path[:100]!r} contains dot segments; quote the values in it"
        raise Rejected(message)


def _first_action_error(group: BaseExceptionGroup[BaseException]) -> ActionError | None:
    for error in group.exceptions:
        leaf = _first_action_error(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(leaf, ActionError):
            return leaf
    return None
