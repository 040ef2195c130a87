"""Content types: a body that is not JSON is refused before it is read, with what is accepted."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

JSON = "application/json"


def takes_json(route: APIRoute) -> bool:
    """Return whether a route's signature reads a JSON body."""
    return route.body_field is not None


def check_json(request: Request) -> None:
    """Raise 415 for a body that is compressed, or that does not say that it is JSON."""
    headers = request.headers
    if not has_body(headers):
        return
    check_encoding(headers)
    if media_type(headers) != JSON:
        raise not_accepted(media_type(headers), JSON)


def check_encoding(headers: Headers) -> None:
    """Raise 415 for a compressed body."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise HTTPException(
            415,
            f"the body is encoded as {coding[:32]!r}; send it without Content-Encoding",
            {"Accept-Encoding": "identity"},
        )


def not_accepted(given: str, *accepted: str) -> HTTPException:
    """Return the 415 that names what is accepted."""
    wanted = " or ".join(accepted)
    subject = f"the body is {given[:100]!r}" if given else "the body has no Content-Type"
    return HTTPException(
        415, f"{subject}; send Content-Type: {wanted}", {"Accept": ", ".join(accepted)}
    )


def media_type(headers: Headers) -> str:
    """Return the media type without its parameters; empty when there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def has_body(headers: Headers) -> bool:
    """Return whether the request announces a body."""
    return headers.get("content-length", "0").strip() != "0" or "transfer-encoding" in headers
