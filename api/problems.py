"""How errors are told: application/problem+json (RFC 9457), what is wrong and the mend, never what is inside."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from orchestrator.domain.errors import ActionError, Conflict, Forbidden, Invalid, NotFound, TocsinError, Unavailable
from orchestrator.intake.authentication import NotAuthentic
from orchestrator.intake.body import BodyRefused

_log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"

STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (NotAuthentic, 401, "Not authenticated"),
    (Forbidden, 403, "Forbidden"),
    (NotFound, 404, "Not found"),
    (Conflict, 409, "Conflict"),
    (Invalid, 422, "Invalid"),
    (Unavailable, 503, "Unavailable"),
    (ActionError, 502, "The system behind refused"),
    (TocsinError, 400, "Refused"),
)

_TOLD = ((400, "Bad request"), (401, "Not authenticated"), (403, "Forbidden"), (404, "Not found"), (409, "Conflict"), (422, "Invalid"))

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": title, "content": {MEDIA_TYPE: {"example": {"title": title, "status": status, "detail": "what, and the mend"}}}}
    for status, title in _TOLD
}  # fmt: skip


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """One problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Every error of the application becomes a problem document."""
    app.add_exception_handler(TocsinError, _ours)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def _ours(_: Request, error: Exception) -> Response:
    if isinstance(error, BodyRefused):
        return problem(error.status, "The body is refused", str(error))
    for kind, status, title in STATUS:
        if isinstance(error, kind):
            return problem(status, title, str(error), {"WWW-Authenticate": "Bearer"} if status == 401 else None)
    return problem(400, "Refused", str(error))


async def _validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5]]
    return problem(422, "Invalid", "; ".join(found).encode("utf-8", "replace").decode())


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    return problem(error.status_code, str(error.detail), str(error.detail), dict(error.headers or {}))


async def _bug(request: Request, error: Exception) -> Response:
    _log.error("an error inside", path=request.url.path, kind=type(error).__name__, exc_info=error)
    return problem(500, "An error inside", "the log of the API says more")
