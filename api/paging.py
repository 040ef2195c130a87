"""Pages of lists: `limit` items each; `next` of one page is the `cursor` of the following one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

from fastapi import Query

from orchestrator.store.paging import Page, decode_cursor, encode_cursor

__all__ = ["Cursor", "Limit", "Page", "page_of"]

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


def page_of(items: Iterable[T], key: Callable[[T], str], cursor: str | None, limit: int) -> Page[T]:
    """Return a page of a complete list, sorted by its unique keys.

    Raise Invalid for a foreign cursor.
    """
    after = decode_cursor(cursor)
    left = sorted((item for item in items if after is None or key(item) > after), key=key)
    return Page(
        items=left[:limit], next=encode_cursor(key(left[limit - 1])) if len(left) > limit else None
    )
