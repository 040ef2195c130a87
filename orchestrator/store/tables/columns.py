"""Column types that read the same from SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, DateTime, Dialect, String, TypeDecorator, literal, text
from sqlmodel import col

E = TypeVar("E", bound=StrEnum)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC times in Python; SQLite itself has no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Convert to UTC. Raise ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"a naive time cannot be stored: {value!r}"
            raise ValueError(message)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Restore the time zone."""
        return (
            None
            if value is None
            else value.replace(tzinfo=UTC)
            if value.tzinfo is None
            else value.astimezone(UTC)
        )


def is_literally(column: Any, value: StrEnum) -> ColumnElement[bool]:
    """Return the condition that a column has a value, as a partial index needs it."""
    return col(column) == literal(value, column.type, literal_execute=True)


def enum_column(enum: type[E]) -> type[TypeDecorator[E]]:
    """Return a column type that stores an enum's values as text and refuses any other text."""

    class EnumColumn(TypeDecorator[E]):
        """Text in the database, a member of the enum in Python."""

        impl = String
        cache_ok = True

        def process_bind_param(self, value: E | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature is SQLAlchemy's
            """Return the value of a member. Raise ValueError for an unknown one."""
            return None if value is None else enum(value).value

        def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:  # noqa: ARG002 - the signature is SQLAlchemy's
            """Return the member. Raise ValueError for an unknown value."""
            return None if value is None else enum(value)

    EnumColumn.__name__ = EnumColumn.__qualname__ = f"{enum.__name__}Column"
    return EnumColumn


def partial(condition: str) -> dict[str, Any]:
    """Return what makes an index one of the rows that fit a condition, in SQL."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
