"""Pages of lists: a cursor names the last row of a page by its time and its id."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field

from orchestrator.domain.errors import Invalid

MOST = 200
"""The largest page."""

UNKNOWN_CURSOR = "unknown cursor; use `next` of the previous page"

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the end.")
    ] = None


def check_limit(limit: int) -> int:
    """Return the page size. Raise Invalid outside of 1..200."""
    if not 1 <= limit <= MOST:
        raise Invalid(f"limit {limit} is out of range; use 1 to {MOST}")
    return limit


def encode_cursor(key: str) -> str:
    """Return a cursor that names the last item of a page by its key."""
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")


def decode_cursor(cursor: str | None) -> str | None:
    """Return the key in a cursor. Raise Invalid for text that is not a cursor."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise Invalid(UNKNOWN_CURSOR) from None


def parse_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Return the time and the id that a cursor names. Raise Invalid for one of another list."""
    key = decode_cursor(cursor)
    if key is None:
        return None
    moment, _, id_ = key.partition(" ")
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), id_
    except (ValueError, OverflowError):
        raise Invalid(UNKNOWN_CURSOR) from None


def make_page(items: Sequence[T], limit: int, last: tuple[datetime, str] | None) -> Page[T]:
    """Return a page of views. `last`: time and id of its last row, None for an empty page."""
    more = last is not None and len(items) == limit
    return Page(
        items=list(items),
        next=encode_cursor(f"{to_iso(last[0])} {last[1]}") if more and last else None,
    )


def to_iso(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 text in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
