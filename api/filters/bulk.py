"""Request bodies that choose many objects, by filter or by id, to change all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints

from api.filters.lists import ContainmentSelection, RunSelection
from api.filters.selection import Selection
from api.schemas.containments import Reason
from api.schemas.request_model import RequestModel, example
from orchestrator.domain.errors import Invalid
from orchestrator.runs.lifecycle import ENDED_EARLY
from orchestrator.store.search.filters import ContainmentFilter, RunFilter
from orchestrator.store.search.selection import MOST, PreviewedSelection

F = TypeVar("F")
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MOST, description="Exactly these.")]


class _Selection(RequestModel):
    """What a person saw in the preview."""

    preview: Annotated[bool, Field(description="Change nothing; answer with what fits.")] = False
    count: Annotated[
        int | None,
        Field(ge=0, description="Of the preview. If another number fits now, the answer is 409."),
    ] = None
    digest: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Of the preview. If other objects fit now, the answer is 409.",
        ),
    ] = None

    def expected(self, *, by_id: bool) -> PreviewedSelection | None:
        """Return what was seen; None where each is named by its id. Raise Invalid."""
        if self.count is not None:
            return PreviewedSelection(count=self.count, digest=self.digest)
        if by_id and self.digest is None:
            return None
        raise Invalid("count: send that of the preview, which `preview: true` answers")


class RetryRuns(_Selection):
    """Which runs to retry."""

    model_config = example(
        {"filter": {"status": ["rolled_back"], "error": "kill switch"}, "preview": True},
        {
            "filter": {"status": ["rolled_back"], "error": "kill switch"},
            "count": 12,
            "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        },
        {"ids": ["run_019a8c7d21f04b6c1e2f3a4b5c6d"]},
    )

    ids: Ids | None = None
    filter: Annotated[
        RunSelection | None,
        Field(description="Without `status`: failed, rolled back, cancelled and declined ones."),
    ] = None

    def wanted(self) -> RunFilter:
        """Return which runs are chosen. Raise Invalid."""
        chosen = _chosen(self.ids, self.filter)
        if isinstance(chosen, tuple):
            return RunFilter(ids=chosen)
        return replace(chosen, status=chosen.status or tuple(sorted(ENDED_EARLY)))


class ReleaseContainments(_Selection):
    """Which containments to release, and why."""

    model_config = example(
        {"filter": {"connection": "firewall", "source": "edge-ids"}, "preview": True},
        {
            "filter": {"connection": "firewall", "source": "edge-ids"},
            "count": 12,
            "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
            "reason": "false positives of one rule",
        },
        {"ids": ["6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d"], "reason": "false positive"},
    )

    ids: Ids | None = None
    filter: ContainmentSelection | None = None
    reason: Reason = ""

    def wanted(self) -> ContainmentFilter:
        """Return which containments are chosen. Raise Invalid."""
        chosen = _chosen(self.ids, self.filter)
        return ContainmentFilter(keys=chosen) if isinstance(chosen, tuple) else chosen


def _chosen(ids: list[str] | None, conditions: Selection[F] | None) -> tuple[str, ...] | F:
    """Return the ids or the filter. Raise Invalid for no condition, and for both or neither."""
    if ids is not None and conditions is None:
        return tuple(dict.fromkeys(ids))
    if conditions is None or ids is not None:
        raise Invalid("give either `ids` or `filter`")
    if all(value is None for _, value in conditions):
        raise Invalid("filter: give at least one condition, such as `status`")
    return conditions.to_filter()
