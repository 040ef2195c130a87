"""The conditions of the lists of what happens: alerts, incidents, runs, approvals and the like."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Depends, Query

from api.filters.parameters import (
    AlertClass,
    AlertId,
    Connection,
    Covering,
    EndedSince,
    EndedUntil,
    ErrorText,
    IdPrefix,
    IncidentId,
    Observable,
    Person,
    Playbook,
    RunId,
    Severity,
    Since,
    Source,
    Target,
    Until,
)
from api.filters.selection import Selection, from_query
from api.schemas.request_model import example
from orchestrator.containments.queries import StateFilter
from orchestrator.domain.alert import RejectionReason, RejectionState
from orchestrator.domain.approval import ApprovalState, ReviewState
from orchestrator.domain.incident import IncidentStatus, TaskKind, TaskState
from orchestrator.domain.notification import NotificationState
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.store.search.filters import (
    AlertFilter,
    ApprovalFilter,
    ContainmentFilter,
    IncidentFilter,
    NotificationFilter,
    RejectedFilter,
    RunFilter,
    TaskFilter,
)

_STATE = "Only in this state. Repeat it for several."
_STATUS = "Only with this status. Repeat it for several."


class AlertSelection(Selection[AlertFilter]):
    """Which alerts."""

    filter_type = AlertFilter

    id_prefix: IdPrefix = None
    since: Since = None
    until: Until = None
    incident_id: IncidentId = None
    source: Source = None
    alert_class: AlertClass = None
    severity: Severity = None
    observable: Observable = None
    playbook: Playbook = None
    person: Person = None
    target: Target = None


class IncidentSelection(Selection[IncidentFilter]):
    """Which incidents."""

    filter_type = IncidentFilter

    status: Annotated[
        list[IncidentStatus] | None, Query(max_length=20, description=_STATUS, examples=[["open"]])
    ] = None
    id_prefix: IdPrefix = None
    since: Since = None
    until: Until = None
    source: Source = None
    alert_class: AlertClass = None
    severity: Severity = None
    observable: Observable = None
    playbook: Playbook = None
    person: Person = None
    target: Target = None


class RunSelection(Selection[RunFilter]):
    """Which runs."""

    model_config = example({"status": ["rolled_back"], "ended_since": "2026-01-01T12:00:00Z"})
    filter_type = RunFilter

    status: Annotated[
        list[RunStatus] | None, Query(max_length=20, description=_STATUS, examples=[["waiting"]])
    ] = None
    id_prefix: IdPrefix = None
    since: Since = None
    until: Until = None
    ended_since: EndedSince = None
    ended_until: EndedUntil = None
    mode: Annotated[Mode | None, Query(examples=["live"])] = None
    playbook: Playbook = None
    source: Source = None
    alert_class: AlertClass = None
    severity: Severity = None
    incident_id: IncidentId = None
    alert_id: AlertId = None
    error: ErrorText = None
    person: Person = None
    target: Target = None
    observable: Observable = None


class ApprovalSelection(Selection[ApprovalFilter]):
    """Which approvals."""

    filter_type = ApprovalFilter

    state: Annotated[
        list[ApprovalState] | None, Query(max_length=20, description=_STATE, examples=[["pending"]])
    ] = None
    id_prefix: IdPrefix = None
    since: Since = None
    until: Until = None
    review: Annotated[
        ReviewState | None,
        Query(description="The review of a break-glass approval.", examples=["pending"]),
    ] = None
    batch: Annotated[
        str | None,
        Query(max_length=200, description="Only those of this batch.", examples=["bat_1f0c"]),
    ] = None
    run_id: RunId = None
    incident_id: IncidentId = None
    playbook: Playbook = None
    source: Source = None
    alert_class: AlertClass = None
    severity: Severity = None
    person: Person = None
    target: Target = None
    observable: Observable = None


class ContainmentSelection(Selection[ContainmentFilter]):
    """Which containments."""

    model_config = example({"connection": "firewall", "playbook": "c2-beacon-containment"})
    filter_type = ContainmentFilter

    state: Annotated[
        list[StateFilter] | None,
        Query(
            max_length=20,
            description="`in_force`, the default: held, lifting and stuck. Repeat it for several.",
            examples=[["held"]],
        ),
    ] = None
    id_prefix: IdPrefix = None
    since: Since = None
    until: Until = None
    lease: Annotated[
        str | None,
        Query(
            max_length=400,
            description="Only the containment that this lease holds.",
            examples=["run_1/block"],
        ),
    ] = None
    connection: Connection = None
    target: Target = None
    covering: Covering = None
    run_id: RunId = None
    incident_id: IncidentId = None
    playbook: Playbook = None
    source: Source = None
    alert_class: AlertClass = None
    severity: Severity = None
    observable: Observable = None
    person: Person = None

    def to_filter(self) -> ContainmentFilter:
        """Return the filter; without a state, of what is in force. Raise Invalid."""
        states = StateFilter.states_of(self.state or [StateFilter.IN_FORCE])
        return replace(super().to_filter(), state=states)


class TaskSelection(Selection[TaskFilter]):
    """Which tasks."""

    filter_type = TaskFilter

    state: Annotated[
        Literal["open", "closed", "all"],
        Query(description="Only in this state.", examples=["open"]),
    ] = "open"
    id_prefix: IdPrefix = None
    since: Since = None
    until: Until = None
    kind: Annotated[TaskKind | None, Query(examples=["stuck_release"])] = None
    subject: Annotated[
        str | None,
        Query(
            max_length=300,
            description="Only about this, such as a containment's key.",
            examples=["6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d"],
        ),
    ] = None
    person: Person = None

    def to_filter(self) -> TaskFilter:
        """Return the filter."""
        states = () if self.state == "all" else (TaskState(self.state),)
        return replace(super().to_filter(), state=states)


class NotificationSelection(Selection[NotificationFilter]):
    """Which notifications."""

    filter_type = NotificationFilter

    state: Annotated[
        list[NotificationState] | None,
        Query(max_length=20, description=_STATE, examples=[["failed"]]),
    ] = None
    since: Since = None
    until: Until = None
    about: Annotated[str | None, Query(max_length=200, examples=["apr_1f0c"])] = None
    person: Person = None


class RejectedSelection(Selection[RejectedFilter]):
    """Which rejected deliveries of a source."""

    filter_type = RejectedFilter

    state: Annotated[
        Literal["kept", "replayed", "all"],
        Query(description="Only in this state.", examples=["kept"]),
    ] = "kept"
    id_prefix: IdPrefix = None
    since: Since = None
    until: Until = None
    reason: Annotated[
        RejectionReason | None, Query(description="Only rejected for this.", examples=["malformed"])
    ] = None

    def to_filter(self) -> RejectedFilter:
        """Return the filter."""
        states = () if self.state == "all" else (RejectionState(self.state),)
        return replace(super().to_filter(), state=states)


Alerts = Annotated[AlertFilter, Depends(from_query(AlertSelection))]
Incidents = Annotated[IncidentFilter, Depends(from_query(IncidentSelection))]
Runs = Annotated[RunFilter, Depends(from_query(RunSelection))]
Approvals = Annotated[ApprovalFilter, Depends(from_query(ApprovalSelection))]
Containments = Annotated[ContainmentFilter, Depends(from_query(ContainmentSelection))]
Tasks = Annotated[TaskFilter, Depends(from_query(TaskSelection))]
Notifications = Annotated[NotificationFilter, Depends(from_query(NotificationSelection))]
Rejected = Annotated[RejectedFilter, Depends(from_query(RejectedSelection))]
