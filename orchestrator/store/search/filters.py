"""The filters that lists share. One name means one thing in every list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.approval import ApprovalState, ReviewState
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.incident import IncidentStatus, TaskKind, TaskState
from orchestrator.domain.notification import NotificationState
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.store.search.names import TypedValue

Names = tuple[TypedValue, ...]
"""The readings of one value; a row fits that has one of them."""


class Order(StrEnum):
    """The order of a list, by the time that it is about."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFilter:
    """A period of time: `since` and later, before `until`."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter(TimeFilter):
    """Which alerts are listed. The time is that of their arrival."""

    id_prefix: str | None = None
    incident_id: str | None = None
    source: str | None = None
    alert_class: str | None = None
    severity: int | None = None
    """This severity or a higher one."""
    observable: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter(TimeFilter):
    """Which incidents are listed. The time is when they were opened."""

    id_prefix: str | None = None
    states: tuple[IncidentStatus, ...] = ()
    source: str | None = None
    alert_class: str | None = None
    severity: int | None = None
    observable: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter(TimeFilter):
    """Which runs are listed. The time is when they were created."""

    ids: tuple[str, ...] = ()
    id_prefix: str | None = None
    states: tuple[RunStatus, ...] = ()
    ended_since: datetime | None = None
    ended_until: datetime | None = None
    mode: Mode | None = None
    playbook: str | None = None
    source: str | None = None
    alert_class: str | None = None
    severity: int | None = None
    incident_id: str | None = None
    alert_id: str | None = None
    error: str | None = None
    """Text in the error."""
    person: str | None = None
    """Who started, retried or cancelled it."""
    target: Names | None = None
    observable: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFilter(TimeFilter):
    """Which approvals are listed. The time is when they were asked."""

    states: tuple[ApprovalState, ...] = ()
    review: ReviewState | None = None
    run_id: str | None = None
    incident_id: str | None = None
    playbook: str | None = None
    source: str | None = None
    alert_class: str | None = None
    severity: int | None = None
    person: str | None = None
    """Who decided, broke the glass or reviewed."""
    target: Names | None = None
    observable: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainmentFilter(TimeFilter):
    """Which containments are listed. The time is since when they are in force."""

    states: tuple[ContainmentState, ...] = ()
    keys: tuple[str, ...] = ()
    lease: str | None = None
    connection: str | None = None
    target: Names | None = None
    covering: Names | None = None
    run_id: str | None = None
    incident_id: str | None = None
    playbook: str | None = None
    source: str | None = None
    person: str | None = None
    """Who started a run that holds it, or ended a lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter(TimeFilter):
    """Which tasks are listed. The time is when they were opened."""

    id_prefix: str | None = None
    states: tuple[TaskState, ...] = ()
    kind: TaskKind | None = None
    subject: str | None = None
    person: str | None = None
    """Who closed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFilter(TimeFilter):
    """Which notifications are listed. The time is when they were queued."""

    states: tuple[NotificationState, ...] = ()
    about: str | None = None
    person: str | None = None
    """The recipient."""
