"""Pages of lists: `limit` items each; `next` of one page is the `cursor` of the following one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Query

from orchestrator.store.paging import Page, decode_cursor, encode_cursor
from orchestrator.store.search.filters import NamedOrder

__all__ = ["Cursor", "Limit", "Page", "named_page", "page_of"]

T = TypeVar("T")

Limit = Annotated[
    int, Query(ge=1, le=200, description="The maximum number of items.", examples=[50])
]
Cursor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=512,
        description="`next` of the previous page.",
        examples=["MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCBydW5fMQ=="],
    ),
]


def page_of(
    items: Iterable[T],
    key: Callable[[T], str],
    cursor: str | None,
    limit: int,
    *,
    newest_first: bool = False,
) -> Page[T]:
    """Return a page of a complete list, sorted by its unique keys.

    Raise Invalid for a foreign cursor.
    """
    after = decode_cursor(cursor)
    left = sorted(
        (
            item
            for item in items
            if after is None or (key(item) < after if newest_first else key(item) > after)
        ),
        key=key,
        reverse=newest_first,
    )
    return Page(
        items=left[:limit], next=encode_cursor(key(left[limit - 1])) if len(left) > limit else None
    )


def named_page(
    items: Iterable[T],
    key: Callable[[T], str],
    moment: Callable[[T], datetime],
    order: NamedOrder,
    cursor: str | None,
    limit: int,
) -> Page[T]:
    """Return a page of a complete list, sorted by its unique keys or by the time of each item.

    Raise Invalid for a foreign cursor.
    """

    def by_time(item: T) -> str:
        return f"{moment(item).astimezone(UTC).isoformat(timespec='microseconds')} {key(item)}"

    return page_of(
        items,
        key if order is NamedOrder.NAME else by_time,
        cursor,
        limit,
        newest_first=order is NamedOrder.NEWEST,
    )
