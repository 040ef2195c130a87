"""Errors that cross to a workflow: their type says whether to retry, their text holds no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from orchestrator.contracts.names import ErrorType
from orchestrator.domain.errors import Halted, TocsinError, Unavailable, Unknown
from orchestrator.engine.temporal.log_context import log_fields

_log = structlog.get_logger(__name__)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise ApplicationError for Tocsin's errors and for those of the database.

    Only `Unavailable` is retried, after the pause that the system asked for. A database that does
    not answer is `Unavailable`; its error is named by type only, as its text holds values. Each is
    one line in the log; a traceback is for what is not expected.
    """
    try:
        yield
    except TocsinError as error:
        type_ = _type(error)
        pause = error.retry_after if isinstance(error, Unavailable) else None
        _log.warning("activity failed", **_about(type_, pause), error=str(error))
        raise _crossing(str(error), type_, pause) from None
    except SQLAlchemyError as error:
        name = type(error).__name__
        _log.warning(
            "database failed",
            **_about(ErrorType.UNAVAILABLE, None),
            error=name,
            exc_info=None if _is_outage(error) else error,
        )
        raise _crossing(f"the database failed ({name})", ErrorType.UNAVAILABLE, None) from None


def _crossing(message: str, type_: ErrorType, pause: timedelta | None) -> ApplicationError:
    """Return the error for the workflow. `BENIGN`: the SDK logs no traceback of it."""
    return ApplicationError(
        message,
        type=type_,
        non_retryable=type_ is not ErrorType.UNAVAILABLE,
        next_retry_delay=pause,
        category=ApplicationErrorCategory.BENIGN,
    )


def _about(type_: ErrorType, pause: timedelta | None) -> dict[str, object]:
    """Return the fields of a line in the log: which activity of which workflow, and its retry."""
    about: dict[str, object] = {"type": type_.value}
    if pause is not None:
        about["retry_after"] = pause.total_seconds()
    if activity.in_activity():
        about |= log_fields(activity.info())
    return about


def _is_outage(error: SQLAlchemyError) -> bool:
    """Return whether the database did not answer, or was busy: expected, and soon over."""
    if isinstance(error, PoolTimeout):
        return True
    return isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _type(error: TocsinError) -> ErrorType:
    match error:
        case Unavailable():
            return ErrorType.UNAVAILABLE
        case Unknown():
            return ErrorType.UNKNOWN
        case Halted():
            return ErrorType.HALTED
        case _:
            return ErrorType.REJECTED
