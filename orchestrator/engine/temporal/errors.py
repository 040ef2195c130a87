"""What does a workflow learn of an error? Its kind, which says whether to try again, and a text that holds no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.exceptions import ApplicationError

from orchestrator.contracts.messages import ErrorType
from orchestrator.domain.errors import (
    ActionError,
    Halted,
    Rejected,
    TocsinError,
    Unavailable,
    Unknown,
)

_log = structlog.get_logger(__name__)


@contextmanager
def told_to_workflow() -> Iterator[None]:
    """Raises ApplicationError for every error of ours. `Unavailable` is tried again, after what the system asked for; no other is.

    A database that does not answer is `Unavailable`; of its error only the type is told, as its text holds the values.
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
        _log.warning("the database failed", error=type(error).__name__, exc_info=error)
        raise ApplicationError(
            f"the database failed ({type(error).__name__})", type=ErrorType.UNAVAILABLE
        ) from None


def _type(error: TocsinError) -> ErrorType:
    match error:
        case Unknown():
            return ErrorType.UNKNOWN
        case Halted():
            return ErrorType.HALTED
        case Rejected() | ActionError() | _:
            return ErrorType.REJECTED
