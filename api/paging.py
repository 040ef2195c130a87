"""How do lists page? `limit` items at a time; `next` of one page is the `cursor` of the following, null at the end."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from orchestrator.domain.errors import Invalid

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="How many items at most.", examples=[50])]
Cursor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=512,
        description="`next` of the page before.",
        examples=["MjAyNi0wMS0wMVQwMDowMDowMCswMDowMCBydW5fMQ=="],
    ),
]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: Annotated[
        str | None, Field(description="The cursor of the next page; null at the end.")
    ] = None


def page_of(items: Iterable[T], key: Callable[[T], str], cursor: str | None, limit: int) -> Page[T]:
    """A page of a list held in full, in the order of its keys, which are unique. Raises Invalid for a cursor that is none of ours."""
    after = decoded(cursor)
    left = sorted((item for item in items if after is None or key(item) > after), key=key)
    return Page(
        items=left[:limit], next=encoded(key(left[limit - 1])) if len(left) > limit else None
    )


def decoded(cursor: str | None) -> str | None:
    """The key in a cursor. Raises Invalid for one that is none of ours."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise Invalid(
            "the cursor is none of ours; take it from `next` of the page before"
        ) from None


def encoded(key: str) -> str:
    """A cursor that names the last item of a page by its key."""
    return base64.urlsafe_b64encode(key.encode()).decode("ascii")
