"""Idempotency-Key: a POST that is sent again is answered as the first time, and does nothing."""

from __future__ import annotations

import hashlib
import re

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from api.container import container_of
from api.protocol.route import Handler
from orchestrator.access import idempotency
from orchestrator.access.idempotency import KeptAnswer
from orchestrator.domain.errors import Invalid, TocsinError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Names the request, so that it may be repeated within 24 hours.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]{1,255}$",
        "examples": ["8f14e45f-ceea-467f-a9f1-4f3f0c2b9d3e"],
    },
}
"""The header, as the OpenAPI document describes it."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("content-type", "location", "etag")
_REFUSALS = (TocsinError, HTTPException, RequestValidationError)
"""Errors after which nothing was done, so that the same request may be tried again."""


async def answer_once(request: Request, person: str, handler: Handler) -> Response:
    """Return the handler's answer; for a key that was used before, the answer of then."""
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None:
        return await handler(request)
    if not _KEY.fullmatch(key):
        raise Invalid(f"{HEADER}: send 1 to 255 visible ASCII characters, such as a UUID")
    rt = container_of(request).rt
    kept = await idempotency.reserve(rt, person, key, await _digest(request))
    if kept is not None:
        return Response(kept.content, kept.status, {**kept.headers, REPLAYED: "true"})
    try:
        response = await handler(request)
    except _REFUSALS:
        await idempotency.free(rt, person, key)
        raise
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    answer = KeptAnswer.of(response.status_code, headers, bytes(response.body))
    await idempotency.keep(rt, person, key, answer)
    return response


async def _digest(request: Request) -> str:
    target = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    kind = request.headers.get("content-type", "").encode() + b"\n"
    return hashlib.sha256(target + kind + await request.body()).hexdigest()
