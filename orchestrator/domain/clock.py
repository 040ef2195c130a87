"""The clock outside of workflows."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time, aware, UTC."""
    return datetime.now(UTC)
