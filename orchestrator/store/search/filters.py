"""The filters that lists share. One name means one thing in every list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestrator.domain.alert import RejectionReason, RejectionState
from orchestrator.domain.approval import ApprovalState, ReviewState
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.incident import IncidentStatus, TaskKind, TaskState
from orchestrator.domain.notification import Channel, NotificationState
from orchestrator.domain.observable import ObservableType
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.store.search.names import TypedValue

Names = tuple[TypedValue, ...]
"""The readings of one value; a row fits that has one of them."""


class Order(StrEnum):
    """The order of a list, by the time that it is about."""

    NEWEST = "newest"
    OLDEST = "oldest"


class NamedOrder(StrEnum):
    """The order of a list of what has a name: by it, or by the time of each."""

    NAME = "name"
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
    playbook: str | None = None
    person: str | None = None
    """Who started a run of it, or decided on one."""
    target: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter(TimeFilter):
    """Which incidents are listed. The time is when they were opened."""

    id_prefix: str | None = None
    status: tuple[IncidentStatus, ...] = ()
    source: str | None = None
    alert_class: str | None = None
    severity: int | None = None
    observable: Names | None = None
    playbook: str | None = None
    person: str | None = None
    """Who started a run of it, or decided on one."""
    target: Names | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter(TimeFilter):
    """Which runs are listed. The time is when they were created."""

    ids: tuple[str, ...] = ()
    id_prefix: str | None = None
    status: tuple[RunStatus, ...] = ()
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

    id_prefix: str | None = None
    state: tuple[ApprovalState, ...] = ()
    review: ReviewState | None = None
    batch: str | None = None
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

    state: tuple[ContainmentState, ...] = ()
    keys: tuple[str, ...] = ()
    id_prefix: str | None = None
    lease: str | None = None
    connection: str | None = None
    target: Names | None = None
    covering: Names | None = None
    run_id: str | None = None
    incident_id: str | None = None
    playbook: str | None = None
    source: str | None = None
    alert_class: str | None = None
    severity: int | None = None
    observable: Names | None = None
    person: str | None = None
    """Who started a run that holds it, or ended a lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter(TimeFilter):
    """Which tasks are listed. The time is when they were opened."""

    id_prefix: str | None = None
    state: tuple[TaskState, ...] = ()
    kind: TaskKind | None = None
    subject: str | None = None
    person: str | None = None
    """Who closed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFilter(TimeFilter):
    """Which notifications are listed. The time is when they were queued."""

    state: tuple[NotificationState, ...] = ()
    about: str | None = None
    person: str | None = None
    """The recipient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFilter(TimeFilter):
    """Which rejected deliveries are listed. The time is that of their first arrival."""

    id_prefix: str | None = None
    state: tuple[RejectionState, ...] = ()
    reason: RejectionReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFilter(TimeFilter):
    """Which connections are listed. The time is when they were saved last."""

    name: str | None = None
    """Text in the name."""
    connector: str | None = None
    capability: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFilter(TimeFilter):
    """Which sources are listed. The time is when they were added."""

    name: str | None = None
    """Text in the name."""
    product: str | None = None
    scheme: str | None = None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter(TimeFilter):
    """Which API keys are listed. The time is when they were created."""

    person: str | None = None
    role: str | None = None
    group: str | None = None
    valid: bool | None = None
    """Whether the key is neither revoked nor expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFilter(TimeFilter):
    """Which contacts are listed. The time is when they were saved last."""

    name: str | None = None
    """Text in the person's name."""
    channel: Channel | None = None
    """By which the person is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookFilter(TimeFilter):
    """Which versions of playbooks are listed. The time is when they were published."""

    name: str | None = None
    """Text in the name."""
    owner: str | None = None
    stage: str | None = None
    retired: bool | None = None
    person: str | None = None
    """Who published it."""
    built_in: bool | None = None
    """Whether this program made it. None: both kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFilter(TimeFilter):
    """Which versions of the policy are listed. The time is when they were published."""

    person: str | None = None
    """Who published it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFilter:
    """Which assets are listed."""

    name: str | None = None
    """Text in the value."""
    type: ObservableType | None = None
    kind: str | None = None
    critical: bool | None = None
    tag: str | None = None
