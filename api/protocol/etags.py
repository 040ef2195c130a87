"""Entity tags: ETag on objects, 304 for readers, and If-Match for those who write."""

from __future__ import annotations

import json
import re
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.responses import Response

from api.protocol.content import JSON
from orchestrator.domain.errors import Invalid
from orchestrator.store.precondition import ANY_STATE, Precondition, etag_of

_OK, _CREATED = 200, 201
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]{1,200}")')
_MAX_TAGS = 20


def add_etag(request: Request, response: Response) -> Response:
    """Return the answer with the ETag of the object in it, or a 304 where the reader has it."""
    if response.status_code not in {_OK, _CREATED} or response.media_type != JSON:
        return response
    shown = json.loads(bytes(response.body))
    if not isinstance(shown, dict):
        return response
    etag = etag_of(shown)
    response.headers["ETag"] = etag
    if request.method == "GET" and etag in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={"ETag": etag})
    return response


def _precondition(
    if_match: Annotated[
        str | None,
        Header(
            max_length=4000,
            description="Write only if the state is the one with this ETag; else 412.",
            examples=['"6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d"'],
        ),
    ] = None,
) -> Precondition:
    if if_match is None:
        return ANY_STATE
    if if_match.strip() == "*":
        return Precondition(exists=True)
    tags = _tags(if_match)
    if not tags:
        raise Invalid('If-Match: send the ETag as it was given, in quotes, such as "6f1c0f2b"')
    return Precondition(tags=tags)


IfMatch = Annotated[Precondition, Depends(_precondition)]
"""The state that a write expects, as a parameter of a route."""


def _tags(header: str) -> tuple[str, ...]:
    """Return the tags of a header. A proxy that compresses makes them weak; they stay equal."""
    parts = [_TAG.fullmatch(part.strip()) for part in header.split(",")[:_MAX_TAGS]]
    return tuple(part[1] for part in parts if part) if all(parts) else ()
