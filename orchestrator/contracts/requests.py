"""Requests to a worker: the message that crosses, its reply, and errors as data."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

from orchestrator.domain.errors import (
    ActionError,
    Conflict,
    Forbidden,
    Halted,
    Invalid,
    NotFound,
    Rejected,
    TocsinError,
    Unavailable,
    Unknown,
)
from orchestrator.domain.model import Frozen


class WorkerRequest(Frozen):
    """One request. A worker that receives it later than `start_within` does not begin it."""

    kind: str
    message: dict[str, Any]
    start_within: timedelta


class RequestErrorType(StrEnum):
    """Which error of the domain a handler raised."""

    INVALID = "Invalid"
    NOT_FOUND = "NotFound"
    CONFLICT = "Conflict"
    FORBIDDEN = "Forbidden"
    HALTED = "Halted"
    UNAVAILABLE = "Unavailable"
    REJECTED = "Rejected"
    UNKNOWN = "Unknown"


_ERRORS: dict[RequestErrorType, type[TocsinError]] = {
    RequestErrorType.INVALID: Invalid,
    RequestErrorType.NOT_FOUND: NotFound,
    RequestErrorType.CONFLICT: Conflict,
    RequestErrorType.FORBIDDEN: Forbidden,
    RequestErrorType.HALTED: Halted,
    RequestErrorType.UNAVAILABLE: Unavailable,
    RequestErrorType.REJECTED: Rejected,
    RequestErrorType.UNKNOWN: Unknown,
}


class RequestError(Frozen):
    """An error that a handler raised on purpose."""

    type: RequestErrorType
    message: str
    retry_after: timedelta | None = None

    @classmethod
    def of(cls, error: TocsinError) -> Self:
        """Return the error as data. A bare ActionError becomes Rejected, any other Invalid."""
        default = (
            RequestErrorType.REJECTED
            if isinstance(error, ActionError)
            else RequestErrorType.INVALID
        )
        type_ = next((name for name, cls_ in _ERRORS.items() if isinstance(error, cls_)), default)
        pause = error.retry_after if isinstance(error, Unavailable) else None
        return cls(type=type_, message=str(error), retry_after=pause)

    def to_exception(self) -> TocsinError:
        """Return the error to raise on the side that asked."""
        if self.type is RequestErrorType.UNAVAILABLE:
            return Unavailable(self.message, self.retry_after)
        return _ERRORS[self.type](self.message)


class WorkerReply(Frozen):
    """The answer as JSON, or the error. `error` None: the request was answered."""

    answer: Any = None
    error: RequestError | None = None
