"""Compression of answers: of what is read, never of an answer that shows a secret."""

from __future__ import annotations

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_MIN_BYTES = 1024
_LEVEL = 5  # higher levels take several times as long and save a few percent
_NEVER = ("application/octet-stream", "application/x-ndjson")
"""Downloads that announce their length, by which a client notices that one breaks off."""
_PLACES = ("/v1/", "/metrics", "/openapi.json")


class Compression:
    """ASGI middleware that compresses answers to GET and HEAD below /v1/.

    The size of a compressed answer tells whether it repeats a text that an attacker chose, so a
    secret must not share an answer with alert text (BREACH). Tokens and secrets are shown by POST
    only, and the page of a one-time link lies outside of /v1/: neither is compressed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(
            app,
            minimum_size=_MIN_BYTES,
            compresslevel=_LEVEL,
            exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, *_NEVER),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, compressed where that is safe."""
        is_safe = scope["type"] == "http" and scope["method"] == "GET"
        if is_safe and scope["path"].startswith(_PLACES):
            await self._compressed(scope, receive, send)
        else:
            await self._app(scope, receive, send)
