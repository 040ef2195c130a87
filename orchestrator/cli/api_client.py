"""The API client of the commands; a refusal becomes the error that the use case raised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from orchestrator.crypto.server_trust import ServerTrust, explain_tls
from orchestrator.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TocsinError,
    Unavailable,
)

if TYPE_CHECKING:
    import httpx

_PAGE = 100  # items
_SECONDS = 30.0


class Unauthenticated(Forbidden):
    """The API does not accept the key."""


class InvalidRequest(Invalid):
    """The request, or a document in it, is wrong; `places` say where, as the API lists them."""

    def __init__(self, message: str, places: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.places = places


_ERRORS: dict[int, type[TocsinError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: Invalid,
    422: Invalid,
    428: Conflict,
}


class Api:
    """The API of one installation. Methods raise what the use case raised, with its text."""

    def __init__(self, url: str, key: str | None, trust: ServerTrust | None = None) -> None:
        import httpx

        self.url = url
        self._client = httpx.Client(
            base_url=url,
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=_SECONDS,
            trust_env=False,
            verify=(trust or ServerTrust()).context(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, *, seconds: float = _SECONDS, **query: Any) -> Any:
        """Return the JSON at a path; a query parameter that is None is left out."""
        return _decode(self._send("GET", path, params=_given(query), timeout=seconds))

    def get_with_etag(self, path: str) -> tuple[Any, str]:
        """Return the JSON at a path, and the ETag of its state."""
        reply = self._send("GET", path)
        return _decode(reply), reply.headers["etag"]

    def text(self, path: str, **query: Any) -> str:
        """Return the text at a path."""
        return self._send("GET", path, params=_given(query)).text

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        seconds: float = _SECONDS,
        if_match: str | None = None,
        **query: Any,
    ) -> Any:
        """Return the answer to a POST. `seconds`: how long to wait for it.

        `if_match`: the ETag of the state that it changes.
        """
        request = {"json": {} if body is None else body, "params": _given(query)}
        headers = _if_match(if_match)
        return _decode(self._send("POST", path, headers=headers, timeout=seconds, **request))

    def post_text(self, path: str, body: Any, **query: Any) -> str:
        """Return the text that answers a POST."""
        return self._send("POST", path, json=body, params=_given(query)).text

    def post_csv(self, path: str, content: str) -> Any:
        """Return the answer to a POST of CSV."""
        headers = {"Content-Type": "text/csv"}
        return _decode(self._send("POST", path, content=content.encode(), headers=headers))

    def put(self, path: str, body: Any, *, if_match: str | None = None) -> Any:
        """Return the answer to a PUT. `if_match`: the ETag of the state that it replaces."""
        return _decode(self._send("PUT", path, json=body, headers=_if_match(if_match)))

    def patch(self, path: str, body: Any) -> Any:
        """Return the answer to a PATCH."""
        return _decode(self._send("PATCH", path, json=body))

    def delete(self, path: str, **query: Any) -> Any:
        """Return the answer to a DELETE."""
        return _decode(self._send("DELETE", path, params=_given(query)))

    def items(self, path: str, limit: int | None = None, **query: Any) -> list[dict[str, Any]]:
        """Return the items of a list, page by page: all of them, or the first `limit`."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while limit is None or len(found) < limit:
            size = _PAGE if limit is None else min(limit - len(found), _PAGE)
            page = self.get(path, cursor=cursor, limit=size, **query)
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        return found[:limit]

    @contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        """Yield the bytes at a path in pieces. Raise Unavailable where the answer breaks off."""
        with self._unreachable(), self._client.stream("GET", path) as reply:
            if not reply.is_success:
                reply.read()
                raise _error(reply)
            yield reply.iter_bytes()

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        with self._unreachable():
            reply = self._client.request(method, path, **request)
        if reply.is_success:
            return reply
        raise _error(reply)

    @contextmanager
    def _unreachable(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            if (explained := explain_tls(self.url, error)) is not None:
                raise Unavailable(explained) from error
            raise Unavailable(
                f"{self.url}: no answer ({reason}); check that the stack runs (`tocsin up`)"
            ) from error


def _if_match(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"If-Match": etag}


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _decode(reply: httpx.Response) -> Any:
    if not reply.content:
        return None
    try:
        return reply.json()
    except ValueError as error:
        raise Unavailable(
            f"{reply.request.url}: the answer is not JSON; check that this is Tocsin's API"
        ) from error


def _error(reply: httpx.Response) -> TocsinError:
    """Return the error for a problem (RFC 9457), or for an answer that is not one."""
    kind = _ERRORS.get(reply.status_code, Unavailable)
    try:
        problem = json.loads(reply.text)
        message = str(problem.get("detail") or problem["title"])
        places = list(problem.get("errors") or ())
    except (ValueError, AttributeError, KeyError, TypeError):
        return kind(f"{reply.request.url}: the API answered {reply.status_code}")
    return InvalidRequest(message, places) if kind is Invalid and places else kind(message)
