"""Request bodies that choose many objects, by filter or by id, to change all of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.filters import parameters as given
from api.filters.lists import containments_filter, runs_filter
from api.schemas.containments import Reason
from api.schemas.request_model import RequestModel, example
from orchestrator.containments.queries import StateFilter
from orchestrator.domain.errors import Invalid
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.runs.lifecycle import RETRYABLE
from orchestrator.store.search.filters import ContainmentFilter, RunFilter
from orchestrator.store.search.selection import MOST, PreviewedSelection

Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=MOST, description="Exactly these.")]


class RunSelection(RequestModel):
    """The filter of the list of runs, as an object; each condition narrows it."""

    model_config = example({"state": ["rolled_back"], "ended_since": "2026-01-01T12:00:00Z"})

    state: Annotated[
        list[RunStatus] | None,
        Field(description="Null: failed, rolled back, cancelled and declined.", max_length=20),
    ] = None
    since: given.Since = None
    until: given.Until = None
    ended_since: given.EndedSince = None
    ended_until: given.EndedUntil = None
    mode: Mode | None = None
    playbook: given.Playbook = None
    source: given.Source = None
    alert_class: given.AlertClass = None
    severity: given.Severity = None
    incident_id: given.IncidentId = None
    error: given.ErrorText = None
    person: given.Person = None
    target: given.Target = None
    observable: given.Observable = None


class ContainmentSelection(RequestModel):
    """The filter of the list of containments, as an object; each condition narrows it."""

    model_config = example({"connection": "firewall", "playbook": "c2-beacon-containment"})

    state: Annotated[
        list[StateFilter] | None,
        Field(description="Null: `in_force`, which is held, lifting and stuck.", max_length=20),
    ] = None
    since: given.Since = None
    until: given.Until = None
    connection: given.Connection = None
    target: given.Target = None
    covering: given.Covering = None
    run_id: given.RunId = None
    incident_id: given.IncidentId = None
    playbook: given.Playbook = None
    source: given.Source = None


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
        {"filter": {"state": ["rolled_back"], "error": "kill switch"}, "preview": True},
        {
            "filter": {"state": ["rolled_back"], "error": "kill switch"},
            "count": 12,
            "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        },
        {"ids": ["run_019a8c7d21f04b6c1e2f3a4b5c6d"]},
    )

    ids: Ids | None = None
    filter: RunSelection | None = None

    def wanted(self) -> RunFilter:
        """Return which runs are chosen. Raise Invalid."""
        conditions = _conditions(self.ids, self.filter)
        if self.ids is not None:
            return RunFilter(ids=tuple(dict.fromkeys(self.ids)))
        return runs_filter(**{"state": sorted(RETRYABLE), **conditions})


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
        conditions = _conditions(self.ids, self.filter)
        if self.ids is not None:
            return ContainmentFilter(keys=tuple(dict.fromkeys(self.ids)))
        if "covering" in conditions:
            conditions["covering_"] = conditions.pop("covering")
        return containments_filter(**conditions)


def _conditions(ids: list[str] | None, chosen: RequestModel | None) -> dict[str, Any]:
    """Return the conditions of the filter. Raise Invalid for none, and for both or neither."""
    if (ids is None) == (chosen is None):
        raise Invalid("give either `ids` or `filter`")
    values = {} if chosen is None else dict(chosen)
    found = {name: value for name, value in values.items() if value is not None}
    if ids is None and not found:
        raise Invalid("filter: give at least one condition, such as `state`")
    return found
