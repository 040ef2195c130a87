"""The filter of each list, from its query parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query

from api.filters.parameters import (
    AlertClass,
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
    covering,
    names_of,
)
from orchestrator.containments.queries import StateFilter
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
    RunFilter,
    TaskFilter,
)

_REPEAT = "Only in this state. Repeat it for several."


def _alerts(
    id_prefix: IdPrefix = None,
    since: Since = None,
    until: Until = None,
    incident_id: IncidentId = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    observable: Observable = None,
) -> AlertFilter:
    return AlertFilter(
        id_prefix=id_prefix,
        since=since,
        until=until,
        incident_id=incident_id,
        source=source,
        alert_class=alert_class,
        severity=severity,
        observable=names_of("observable", observable),
    )


def _incidents(
    state: Annotated[
        list[IncidentStatus] | None, Query(description=_REPEAT, examples=[["open"]])
    ] = None,
    id_prefix: IdPrefix = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    observable: Observable = None,
) -> IncidentFilter:
    return IncidentFilter(
        id_prefix=id_prefix,
        since=since,
        until=until,
        states=tuple(state or ()),
        source=source,
        alert_class=alert_class,
        severity=severity,
        observable=names_of("observable", observable),
    )


def runs_filter(
    state: Annotated[
        list[RunStatus] | None, Query(description=_REPEAT, examples=[["waiting"]])
    ] = None,
    id_prefix: IdPrefix = None,
    since: Since = None,
    until: Until = None,
    ended_since: EndedSince = None,
    ended_until: EndedUntil = None,
    mode: Annotated[Mode | None, Query(examples=["live"])] = None,
    playbook: Playbook = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    incident_id: IncidentId = None,
    alert_id: Annotated[
        str | None, Query(max_length=200, examples=["alert_019a8c7d21f04b6c1e2f3a4b5c6d"])
    ] = None,
    error: ErrorText = None,
    person: Person = None,
    target: Target = None,
    observable: Observable = None,
) -> RunFilter:
    """Return the filter of runs. Raise Invalid."""
    return RunFilter(
        id_prefix=id_prefix,
        since=since,
        until=until,
        states=tuple(state or ()),
        ended_since=ended_since,
        ended_until=ended_until,
        mode=mode,
        playbook=playbook,
        source=source,
        alert_class=alert_class,
        severity=severity,
        incident_id=incident_id,
        alert_id=alert_id,
        error=error,
        person=person,
        target=names_of("target", target),
        observable=names_of("observable", observable),
    )


def _approvals(
    state: Annotated[
        list[ApprovalState] | None, Query(description=_REPEAT, examples=[["pending"]])
    ] = None,
    since: Since = None,
    until: Until = None,
    review: Annotated[
        ReviewState | None,
        Query(description="The review of a break-glass approval.", examples=["pending"]),
    ] = None,
    run_id: RunId = None,
    incident_id: IncidentId = None,
    playbook: Playbook = None,
    source: Source = None,
    alert_class: AlertClass = None,
    severity: Severity = None,
    person: Person = None,
    target: Target = None,
    observable: Observable = None,
) -> ApprovalFilter:
    return ApprovalFilter(
        since=since,
        until=until,
        states=tuple(state or ()),
        review=review,
        run_id=run_id,
        incident_id=incident_id,
        playbook=playbook,
        source=source,
        alert_class=alert_class,
        severity=severity,
        person=person,
        target=names_of("target", target),
        observable=names_of("observable", observable),
    )


def containments_filter(
    state: Annotated[
        list[StateFilter] | None,
        Query(
            description="`in_force`, the default: held, lifting and stuck. Repeat it for several.",
            examples=[["held"]],
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    lease: Annotated[
        str | None,
        Query(
            max_length=400,
            description="Only the containment that this lease holds.",
            examples=["run_1/block"],
        ),
    ] = None,
    connection: Connection = None,
    target: Target = None,
    covering_: Annotated[Covering, Query(alias="covering")] = None,
    run_id: RunId = None,
    incident_id: IncidentId = None,
    playbook: Playbook = None,
    source: Source = None,
    person: Person = None,
) -> ContainmentFilter:
    """Return the filter of containments. Raise Invalid."""
    return ContainmentFilter(
        since=since,
        until=until,
        states=StateFilter.states_of(state or [StateFilter.IN_FORCE]),
        lease=lease,
        connection=connection,
        target=names_of("target", target),
        covering=covering(covering_),
        run_id=run_id,
        incident_id=incident_id,
        playbook=playbook,
        source=source,
        person=person,
    )


def _tasks(
    state: Annotated[
        Literal["open", "closed", "all"],
        Query(description="Only in this state.", examples=["open"]),
    ] = "open",
    id_prefix: IdPrefix = None,
    since: Since = None,
    until: Until = None,
    kind: Annotated[TaskKind | None, Query(examples=["stuck_release"])] = None,
    subject: Annotated[
        str | None,
        Query(
            max_length=300,
            description="Only about this, such as a containment's key.",
            examples=["6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d"],
        ),
    ] = None,
    person: Person = None,
) -> TaskFilter:
    return TaskFilter(
        id_prefix=id_prefix,
        since=since,
        until=until,
        states=() if state == "all" else (TaskState(state),),
        kind=kind,
        subject=subject,
        person=person,
    )


def _notifications(
    state: Annotated[
        list[NotificationState] | None, Query(description=_REPEAT, examples=[["failed"]])
    ] = None,
    since: Since = None,
    until: Until = None,
    about: Annotated[str | None, Query(max_length=200, examples=["apr_1f0c"])] = None,
    person: Person = None,
) -> NotificationFilter:
    return NotificationFilter(
        since=since, until=until, states=tuple(state or ()), about=about, person=person
    )


Alerts = Annotated[AlertFilter, Depends(_alerts)]
Incidents = Annotated[IncidentFilter, Depends(_incidents)]
Runs = Annotated[RunFilter, Depends(runs_filter)]
Approvals = Annotated[ApprovalFilter, Depends(_approvals)]
Containments = Annotated[ContainmentFilter, Depends(containments_filter)]
Tasks = Annotated[TaskFilter, Depends(_tasks)]
Notifications = Annotated[NotificationFilter, Depends(_notifications)]
