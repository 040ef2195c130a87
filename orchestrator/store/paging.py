"""How do lists page? By a cursor that names the last row given: its time and its id."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.errors import Invalid

MOST = 200


def bounded(limit: int) -> int:
    """A page's size. Raises Invalid outside of 1..200."""
    if not 1 <= limit <= MOST:
        raise Invalid(f"limit {limit} is out of range; give 1 to {MOST}")
    return limit


def after(cursor: str | None) -> tuple[datetime, str] | None:
    """What a cursor names. Raises Invalid for one that we did not give."""
    if cursor is None:
        return None
    try:
        moment, _, id_ = base64.urlsafe_b64decode(cursor.encode("ascii")).decode().partition(" ")
        return datetime.fromisoformat(moment).astimezone(UTC), id_
    except (ValueError, binascii.Error, OverflowError):
        raise Invalid(
            "the cursor is none of ours; take it from `next` of the page before"
        ) from None


def page(
    items: Sequence[dict[str, Any]], limit: int, last: tuple[datetime, str] | None
) -> dict[str, Any]:
    """One page: `items`, and in `next` the cursor for those after `last`, None at the end."""
    more = last is not None and len(items) == limit
    return {"items": list(items), "next": _cursor(*last) if more and last else None}


def _cursor(moment: datetime, id_: str) -> str:
    return base64.urlsafe_b64encode(f"{moment.astimezone(UTC).isoformat()} {id_}".encode()).decode(
        "ascii"
    )


def said(moment: datetime | None) -> str | None:
    """A time as JSON has it."""
    return moment.astimezone(UTC).isoformat() if moment else None
