"""How do commands about runs and approvals reach a running stack? Through its API, as anybody does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from orchestrator.cli.stack import ports
from orchestrator.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TocsinError,
    Unavailable,
)
from orchestrator.settings import Settings

KEY = "TOCSIN_API_KEY"
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The API's address; else where the stack on the data directory listens.",
    ),
]

_KINDS: dict[int, type[TocsinError]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Invalid,
    400: Invalid,
}


class Remote:
    """The API of a running stack. Raises what the use case behind it raised, with its text."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path."""
        return self._ask(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def text(self, path: str, **query: Any) -> str:
        """What stands at a path, as it is."""
        return self._reply(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        ).text

    def post(self, path: str, body: Any = None) -> Any:
        """What a POST answers."""
        return self._ask("POST", path, json=body if body is not None else {})

    def patch(self, path: str, body: Any) -> Any:
        """What a PATCH answers."""
        return self._ask("PATCH", path, json=body)

    def delete(self, path: str) -> Any:
        """What a DELETE answers."""
        return self._ask("DELETE", path)

    def items(self, path: str, limit: int, **query: Any) -> Iterator[dict[str, Any]]:
        """The items of a list, over as many pages as `limit` items need."""
        cursor: str | None = None
        while limit > 0:
            page = self.get(path, cursor=cursor, limit=min(limit, 100), **query)
            yield from page["items"][:limit]
            limit -= len(page["items"])
            cursor = page["next"]
            if cursor is None:
                return

    def close(self) -> None:
        """Lets its connections go; a command that ends with its process need not."""
        self._client.close()

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        reply = self._reply(method, path, **request)
        return reply.json() if reply.content else None

    def _reply(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            reply = self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            message = f"{self._client.base_url}: no answer ({error}); is the stack up? Start it with `tocsin up`"
            raise Unavailable(message) from error
        if reply.is_success:
            return reply
        raise _KINDS.get(reply.status_code, Unavailable)(_said(reply))


def remote(data_dir: Path | None, config: Path | None, url: str | None) -> Remote:
    """Reaches the API with the key in TOCSIN_API_KEY, or the admin key of the data directory. Raises NotFound with the mend."""
    settings = Settings.load(config, data_dir=data_dir)
    address = url or ports.running(settings.data_dir).api_url
    return Remote(address, os.environ.get(KEY) or _admin_key(settings.admin_key_path))


def _admin_key(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}); put an API key into {KEY}, or name the data directory with --data-dir"
        raise NotFound(message) from error


def _said(reply: httpx.Response) -> str:
    try:
        problem = reply.json()
        return str(problem.get("detail") or problem.get("title") or reply.text)
    except (ValueError, AttributeError):
        return f"the API answered {reply.status_code}"
