"""How does the API say no? As application/problem+json (RFC 9457): what and why, and never what is inside."""

from __future__ import annotations

import math
import traceback
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

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
from orchestrator.playbook.problems import PlaybookInvalid

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)

_MOST_PLACES = 50
_FRAMES = 8
_RETRY_SECONDS = 1


class Misfit(BaseModel):
    """One place of the request, or of the playbook in it, that is wrong."""

    place: Annotated[str, Field(examples=["body.decision"])]
    message: Annotated[str, Field(examples=["Input should be 'approve' or 'decline'"])]
    line: int | None = None
    column: int | None = None
    step: str | None = None
    mend: str | None = None


class Problem(BaseModel):
    """The body of every error. `type` is stable and meant for programs, `detail` for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:tocsin:problem:not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "there is no run run_1",
                    "request_id": "0f6a1c9e4b7d4c0e",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str | None = None
    request_id: str | None = None
    errors: list[Misfit] | None = None


class ProblemResponse(JSONResponse):
    """A response whose body is a Problem."""

    media_type = MEDIA_TYPE


class TooLarge(HTTPException):
    """The body is longer than we read."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body is over the limit of {limit} bytes")


def problem(
    request: Request,
    status: int,
    detail: str | None = None,
    *,
    errors: list[Misfit] | None = None,
    headers: dict[str, str] | None = None,
) -> ProblemResponse:
    """An answer that says no."""
    title = HTTPStatus(status).phrase
    body = Problem(
        type=f"urn:tocsin:problem:{title.lower().replace(' ', '-')}",
        title=title,
        status=status,
        detail=detail,
        request_id=request.scope.get("request_id"),
        errors=errors,
    )
    return ProblemResponse(body.model_dump(exclude_none=True), status, headers=headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of the errors that a route may answer, each with an example."""
    return {status: _documented(status) for status in sorted({400, 408, 413, *statuses, 500, 503})}


def install(app: FastAPI) -> None:
    """Every error of the app is answered as a problem."""
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
    """The answer to an error of ours; what it was stands in the log, under the request's id."""
    # Where, not with what: a traceback's locals hold the API key, and an error's text may hold what was sent.
    where = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    ]
    _log.error(
        "a request failed",
        request=request.scope.get("request_id"),
        error=type(error).__name__,
        where=where,
    )
    return problem(
        request, 500, "something went wrong here; the log tells more under this request's id"
    )


async def _http(request: Request, error: HTTPException) -> ProblemResponse:
    detail = None if error.detail == HTTPStatus(error.status_code).phrase else str(error.detail)
    return problem(request, error.status_code, detail, headers=dict(error.headers or {}))


async def _invalid_request(request: Request, error: RequestValidationError) -> ProblemResponse:
    """Places and messages only: what was sent may be a secret."""
    found = [
        Misfit(place=_place(each["loc"]), message=str(each["msg"]))
        for each in error.errors()[:_MOST_PLACES]
    ]
    said = "; ".join(f"{each.place}: {each.message}" for each in found[:3])
    return problem(request, 422, f"the request does not fit: {said}", errors=found)


async def _tocsin(request: Request, error: TocsinError) -> ProblemResponse:
    match error:
        case NotAuthentic():
            return problem(request, 401, headers={"WWW-Authenticate": "Source"})
        case PlaybookInvalid():
            return problem(
                request,
                422,
                str(error),
                errors=[_of_playbook(each) for each in error.problems[:_MOST_PLACES]],
            )
        case Unavailable():
            return problem(request, 503, str(error), headers={"Retry-After": str(_seconds(error))})
        case _:
            return problem(request, _status(error), str(error))


async def _database(request: Request, error: Exception) -> ProblemResponse:
    """What the driver says may hold the statement with its values: it goes to the log by name only."""
    if isinstance(error, DataError):
        return problem(
            request,
            422,
            "the request holds a value that cannot be looked for or stored, such as NUL in a text",
        )
    _log.error(
        "the database failed", request=request.scope.get("request_id"), error=type(error).__name__
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


def _seconds(error: Unavailable) -> int:
    return (
        _RETRY_SECONDS
        if error.retry_after is None
        else max(_RETRY_SECONDS, math.ceil(error.retry_after.total_seconds()))
    )


def _of_playbook(found: Any) -> Misfit:
    return Misfit(
        place=found.file,
        message=found.message,
        line=found.line,
        column=found.column,
        step=found.step,
        mend=found.mend,
    )


def _place(loc: Any) -> str:
    return ".".join(str(part) for part in loc)[:200]


_EXAMPLES = {
    400: "the body is not JSON: Expecting value at line 1, column 2",
    401: "give an API key: Authorization: Bearer ...",
    403: "ann may not; it takes the permission run:control",
    404: "there is no such thing under that name",
    408: "the body did not arrive in time",
    409: "run run_018f is completed already",
    413: "the body is over the limit of 1048576 bytes",
    415: "send application/json or text/csv",
    422: "the request does not fit: body.playbook: Field required",
    500: "something went wrong here; the log tells more under this request's id",
    502: "palo_alto refused the credential",
    503: "the database does not answer; try again",
}


def _documented(status: int) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    example = {
        "type": f"urn:tocsin:problem:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": _EXAMPLES[status],
        "request_id": "0f6a1c9e4b7d4c0e",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": title, "content": content}
