"""Selections: what a person chose, by filter or by id, to change all of it at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Conflict, Invalid

MOST = 500
"""The maximum number of objects that one request changes."""
SHOWN = 50
"""How many objects a preview shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedSelection:
    """What the person saw of a selection before it is changed."""

    count: int
    digest: str | None = None
    """Of the ids; None where the count is enough."""


def selection_digest(ids: Collection[str]) -> str | None:
    """Return the digest of a selection, in any order; None for one over the maximum."""
    return digest(sorted(ids)) if len(ids) <= MOST else None


def check_selection(
    noun: str, ids: Collection[str], count: int, expected: PreviewedSelection | None
) -> None:
    """Raise Invalid for too many objects, Conflict where they are not those that were seen.

    `expected` None: the request names each by its id.
    """
    if count > MOST:
        raise Invalid(
            f"{count} {noun} fit, and one request changes {MOST} at most; narrow the filter, "
            "for example to a shorter period"
        )
    if expected is None:
        return
    if expected.count != count:
        raise Conflict(
            f"{count} {noun} fit now, not {expected.count}; look at the preview again and send "
            f"`count` {count}"
        )
    if expected.digest is not None and expected.digest != selection_digest(ids):
        raise Conflict(
            f"other {noun} fit now than in the preview, {count} as before; look at it again and "
            "send its `digest`"
        )
