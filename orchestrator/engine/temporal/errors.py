"""Errors that cross to a workflow: their type says whether to retry, their text holds no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.exceptions import ApplicationError

from orchestrator.contracts.names import ErrorType
from orchestrator.domain.errors import Halted, TocsinError, Unavailable, Unknown

_log = structlog.get_logger(__name__)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise ApplicationError for Tocsin's errors and for those of the database.

    Only `Unavailable` is retried, after the pause that the system asked for. A database that does
    not answer is `Unavailable`; its error is named by type only, as its text holds values.
    """
    try:
        yield
    except Unavailable as error:
        raise ApplicationError(
            str(error), type=ErrorType.UNAVAILABLE, next_retry_delay=error.retry_after
        ) from None
    except TocsinError as error:
        raise ApplicationError(str(error), type=_type(error), non_retryable=True) from None
    except SQLAlchemyError as error:
        _log.warning("database failed", error=type(error).__name__, exc_info=error)
        raise ApplicationError(
            f"the database failed ({type(error).__name__})", type=ErrorType.UNAVAILABLE
        ) from None


def _type(error: TocsinError) -> ErrorType:
    match error:
        case Unknown():
            return ErrorType.UNKNOWN
        case Halted():
            return ErrorType.HALTED
        case _:
            return ErrorType.REJECTED
