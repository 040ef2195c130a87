"""Errors of the API as application/problem+json (RFC 9457), without internals."""

from __future__ import annotations

import math
import traceback
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from api.methods import Methods, options
from orchestrator.domain.errors import (
    ActionError,
    Conflict,
    Forbidden,
    Halted,
    Invalid,
    NotFound,
    TocsinError,
    Unavailable,
)
from orchestrator.intake.authenticate import NotAuthentic
from orchestrator.intake.body import BodyRefused
from orchestrator.playbook.problems import PlaybookInvalid, PlaybookProblem
from orchestrator.store.precondition import PreconditionFailed, PreconditionRequired

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)

_MAX_PLACES = 50
_MAX_FRAMES = 8
_RETRY_SECONDS = 1
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}


class ProblemPlace(BaseModel):
    """One wrong place of the request, or of the playbook in it."""

    place: Annotated[str, Field(examples=["body.decision"])]
    message: Annotated[str, Field(examples=["Input should be 'approve' or 'decline'"])]
    line: int | None = None
    column: int | None = None
    step: str | None = None
    fix: str | None = None


class Problem(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:tocsin:problem:not-found",
                "title": "Not Found",
                "status": 404,
                "detail": "run run_1 does not exist",
                "request_id": "0f6a1c9e4b7d4c0e",
            }
        }
    )

    type: Annotated[str, Field(description="A stable name of the error, for programs.")]
    title: str
    status: int
    detail: Annotated[str | None, Field(description="What is wrong, for people.")] = None
    request_id: Annotated[
        str | None, Field(description="The id under which the log has details.")
    ] = None
    errors: list[ProblemPlace] | None = None


class ProblemResponse(JSONResponse):
    """A response with a problem as its body."""

    media_type = MEDIA_TYPE


class TooLarge(HTTPException):
    """A body over the size limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body is over the limit of {limit} bytes")


class InvalidParts(HTTPException):
    """A request of which some parts are wrong, each with its fix."""

    def __init__(self, message: str, places: list[ProblemPlace]) -> None:
        super().__init__(422, message)
        self.places = places[:_MAX_PLACES]


def problem(
    request: Request,
    status: int,
    detail: str | None = None,
    *,
    errors: list[ProblemPlace] | None = None,
    headers: dict[str, str] | None = None,
) -> ProblemResponse:
    """Return the response of an error."""
    title = phrase(status)
    body = Problem(
        type=_type(title),
        title=title,
        status=status,
        detail=detail,
        request_id=request.scope.get("request_id"),
        errors=errors,
    )
    return ProblemResponse(body.model_dump(exclude_none=True), status, headers=headers)


def phrase(status: int) -> str:
    """Return the name of a status as RFC 9110 has it; that of Python's version may be older."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of a route's errors, each with an example."""
    always = {400, 408, 413, 422, 429, 500, 503}
    return {status: _described(status) for status in sorted({*always, *statuses})}


def install_handlers(app: FastAPI) -> None:
    """Make the app answer every error with a problem."""
    handlers: dict[Any, Any] = {
        HTTPException: _http,
        RequestValidationError: _invalid_request,
        TocsinError: _tocsin,
        SQLAlchemyError: _database,
        ConnectionError: _database,
        TimeoutError: _database,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def unexpected(request: Request, error: Exception) -> ProblemResponse:
    """Log an internal error under the request's id, and return its response."""
    # Without values: locals may hold the API key, and the error's text the request.
    where = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    ]
    _log.error(
        "request failed",
        request_id=request.scope.get("request_id"),
        error=type(error).__name__,
        where=where,
    )
    return problem(request, 500, "internal error; the log has details under this request id")


async def _http(request: Request, error: HTTPException) -> Response:
    detail = (
        None if error.detail in {HTTPStatus(error.status_code).phrase, None} else str(error.detail)
    )
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods: Methods = request.app.state.methods
        if request.method == "OPTIONS":
            return options(request, methods)
        headers["Allow"] = methods.allowed(request.scope["path"])
        detail = f"{request.method} is not allowed here; use one of: {headers['Allow']}"
    places = error.places if isinstance(error, InvalidParts) else None
    return problem(request, error.status_code, detail, errors=places, headers=headers)


async def _invalid_request(request: Request, error: RequestValidationError) -> ProblemResponse:
    """Return places and messages only, as the values may be secrets."""
    places = [
        ProblemPlace(place=_path(item["loc"]), message=str(item["msg"]))
        for item in error.errors()[:_MAX_PLACES]
    ]
    summary = "; ".join(f"{item.place}: {item.message}" for item in places[:3])
    return problem(request, 422, f"invalid request: {summary}", errors=places)


async def _tocsin(request: Request, error: TocsinError) -> ProblemResponse:
    match error:
        case NotAuthentic():
            return problem(request, 401, headers={"WWW-Authenticate": "Source"})
        case PlaybookInvalid():
            places = [_playbook_place(item) for item in error.problems[:_MAX_PLACES]]
            return problem(request, 422, str(error), errors=places)
        case PreconditionFailed():
            status = 428 if isinstance(error, PreconditionRequired) else 412
            etag = {"ETag": error.etag} if error.etag else {}
            return problem(request, status, str(error), headers=etag)
        case Unavailable():
            return problem(
                request, 503, str(error), headers={"Retry-After": str(_retry_seconds(error))}
            )
        case _:
            return problem(request, _status(error), str(error))


async def _database(request: Request, error: Exception) -> ProblemResponse:
    """Log only the error's name, as the driver's text may hold the statement with its values."""
    if isinstance(error, DataError):
        return problem(
            request,
            422,
            "the request holds a value that cannot be stored or searched, such as NUL in a text",
        )
    _log.error(
        "database failed", request_id=request.scope.get("request_id"), error=type(error).__name__
    )
    return problem(
        request,
        503,
        "the database does not answer; try again",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )


def _status(error: TocsinError) -> int:
    match error:
        case BodyRefused():
            return error.status
        case Invalid():
            return 422
        case NotFound():
            return 404
        case Conflict() | Halted():
            return 409
        case Forbidden():
            return 403
        case ActionError():
            return 502
        case _:
            return 500


def _retry_seconds(error: Unavailable) -> int:
    return (
        _RETRY_SECONDS
        if error.retry_after is None
        else max(_RETRY_SECONDS, math.ceil(error.retry_after.total_seconds()))
    )


def _playbook_place(found: PlaybookProblem) -> ProblemPlace:
    return ProblemPlace(
        place=found.file,
        message=found.message,
        line=found.line,
        column=found.column,
        step=found.step,
        fix=found.fix,
    )


def _path(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location)[:200]


def _type(title: str) -> str:
    return f"urn:tocsin:problem:{title.lower().replace(' ', '-')}"


_EXAMPLES = {
    400: "the body is not JSON: Expecting value at line 1, column 2",
    401: "no valid API key; send one as Authorization: Bearer ...",
    403: "ann lacks permission run:control",
    404: "run run_018f does not exist",
    408: "the body did not arrive within 30 s",
    409: "run run_018f is completed already",
    412: "the policy has changed since you read it; read it again, and send its new ETag",
    413: "the body is over the limit of 1048576 bytes",
    415: "the body is 'text/plain'; send Content-Type: application/json",
    422: "invalid request: body.playbook: Field required",
    428: "the policy exists: say which state you replace; read it and send its ETag as If-Match",
    429: "too many requests with this key; wait for the seconds of Retry-After",
    500: "internal error; the log has details under this request id",
    502: "palo_alto refused the credential",
    503: "the database does not answer; try again",
}


def _described(status: int) -> dict[str, Any]:
    title = phrase(status)
    example = {
        "type": _type(title),
        "title": title,
        "status": status,
        "detail": _EXAMPLES[status],
        "request_id": "0f6a1c9e4b7d4c0e",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": title, "content": content}
