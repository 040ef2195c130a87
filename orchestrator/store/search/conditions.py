"""The conditions of the filters, and the order of pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.orm import aliased
from sqlmodel import col

from orchestrator.domain.containment import ContainmentState
from orchestrator.store.search.filters import (
    AlertFilter,
    ApprovalFilter,
    ContainmentFilter,
    IncidentFilter,
    NotificationFilter,
    Order,
    RejectedFilter,
    RunFilter,
    TaskFilter,
    TimeFilter,
)
from orchestrator.store.search.named import is_one_of, subjects_of
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    ContainmentRow,
    DecisionRow,
    IncidentRow,
    LeaseRow,
    NotificationRow,
    RejectedRow,
    RunRow,
    TaskRow,
)
from orchestrator.store.tables.columns import is_literally
from orchestrator.store.tables.runs import BY_A_PERSON

Condition = ColumnElement[bool]


def in_order(
    wanted: Any, moment: Any, id_: Any, after: tuple[datetime, str] | None, limit: int, order: Order
) -> Any:
    """Return the query of one page: what follows `after` in this order, `limit` rows of it."""
    if order is Order.OLDEST:
        if after is not None:
            later = (moment > after[0]) | (id_ > after[1])
            wanted = wanted.where(moment >= after[0], later)  # which an index on it finds
        return wanted.order_by(moment.asc(), id_.asc()).limit(limit)
    if after is not None:
        wanted = wanted.where(moment <= after[0], (moment < after[0]) | (id_ < after[1]))
    return wanted.order_by(moment.desc(), id_.desc()).limit(limit)


def alerts_where(wanted: AlertFilter) -> Iterator[Condition]:
    """Yield the conditions of alerts; playbook, target and person are those of a run of it."""
    yield from within(wanted, AlertRow.received_at)
    yield from begins(AlertRow.id, wanted.id_prefix)
    yield from equal(
        (AlertRow.incident_id, wanted.incident_id),
        (AlertRow.source, wanted.source),
        (AlertRow.alert_class, wanted.alert_class),
    )
    if wanted.severity is not None:
        yield col(AlertRow.severity) >= wanted.severity
    if wanted.observable is not None:
        yield col(AlertRow.id).in_(subjects_of(wanted.observable))
    yield from _responded(wanted, AlertRow, (RunRow.alert_id, AlertRow.id))


def incidents_where(wanted: IncidentFilter) -> Iterator[Condition]:
    """Yield the conditions of incidents.

    Source, class and observable are those of an alert; playbook, target and person of a run.
    """
    yield from within(wanted, IncidentRow.opened_at)
    yield from begins(IncidentRow.id, wanted.id_prefix)
    if wanted.status:
        yield col(IncidentRow.status).in_(wanted.status)
    if wanted.severity is not None:
        yield col(IncidentRow.severity) >= wanted.severity
    of_alert = AlertFilter(
        source=wanted.source, alert_class=wanted.alert_class, observable=wanted.observable
    )
    if wanted.observable is not None:  # of few incidents
        alerts = select(col(AlertRow.incident_id)).where(*alerts_where(of_alert))
        yield col(IncidentRow.id).in_(alerts)
    elif conditions := list(alerts_where(of_alert)):
        same = col(AlertRow.incident_id) == col(IncidentRow.id)
        yield select(col(AlertRow.id)).where(same, *conditions).correlate(IncidentRow).exists()
    yield from _responded(wanted, IncidentRow, (RunRow.incident_id, IncidentRow.id))


def runs_where(wanted: RunFilter, acted: Collection[str]) -> Iterator[Condition]:
    """Yield the conditions of runs. `acted`: the runs that the person retried or cancelled."""
    yield from within(wanted, RunRow.created_at)
    if wanted.ids:
        yield col(RunRow.id).in_(wanted.ids)
    yield from begins(RunRow.id, wanted.id_prefix)
    yield from within(
        TimeFilter(since=wanted.ended_since, until=wanted.ended_until), RunRow.ended_at
    )
    if wanted.status:
        yield col(RunRow.status).in_(wanted.status)
    if wanted.mode is not None:
        yield is_literally(RunRow.mode, wanted.mode)
    if wanted.error is not None:
        yield col(RunRow.error).icontains(wanted.error, autoescape=True)
    if wanted.person is not None:
        started = (col(RunRow.started_by) == f"person:{wanted.person}") & text(BY_A_PERSON)
        yield or_(started, col(RunRow.id).in_(acted)) if acted else started
    if wanted.target is not None:
        yield col(RunRow.id).in_(subjects_of(wanted.target))
    yield from _of_run(wanted)


def approvals_where(wanted: ApprovalFilter) -> Iterator[Condition]:
    """Yield the conditions of approvals, whose query joins their runs."""
    yield from within(wanted, ApprovalRow.asked_at)
    yield from begins(ApprovalRow.id, wanted.id_prefix)
    if wanted.state:
        yield col(ApprovalRow.state).in_(wanted.state)
    yield from equal(
        (ApprovalRow.run_id, wanted.run_id),
        (ApprovalRow.review, wanted.review),
        (ApprovalRow.batch, wanted.batch),
    )
    if wanted.person is not None:
        yield or_(
            _decided_by(wanted.person).correlate(ApprovalRow).exists(),
            col(ApprovalRow.break_glass_by) == wanted.person,
            col(ApprovalRow.reviewed_by) == wanted.person,
        )
    if wanted.target is not None:
        yield col(ApprovalRow.id).in_(subjects_of(wanted.target))
    run = aliased(RunRow)  # looked up for each approval, in the order of approvals
    conditions = equal((run.playbook, wanted.playbook), (run.source, wanted.source))
    if conditions:
        same = col(run.id) == col(ApprovalRow.run_id)
        yield select(col(run.id)).where(same, *conditions).correlate(ApprovalRow).exists()
    yield from _of_run(replace(wanted, playbook=None, source=None))


def containments_where(wanted: ContainmentFilter) -> Iterator[Condition]:
    """Yield the conditions of containments; what concerns runs fits one of their leases.

    What never was in force, as its change was declined or refused, is not among the lifted ones.
    """
    never = (col(ContainmentRow.state) == ContainmentState.LIFTED) & col(
        ContainmentRow.lifted_at
    ).is_(None)
    yield ~never
    yield from within(wanted, ContainmentRow.since)
    if wanted.state:
        yield col(ContainmentRow.state).in_(wanted.state)
    if wanted.keys:
        yield col(ContainmentRow.key).in_(wanted.keys)
    yield from begins(ContainmentRow.key, wanted.id_prefix)
    yield from equal((ContainmentRow.connection, wanted.connection))
    target = (col(ContainmentRow.target_type), col(ContainmentRow.target_value))
    for names in (wanted.target, wanted.covering):
        if names is not None:
            yield is_one_of(names, *target)
    leases = list(leases_where(wanted))
    if leases:
        joined = select(col(LeaseRow.containment_key)).outerjoin(
            RunRow, col(RunRow.id) == col(LeaseRow.run_id)
        )
        yield col(ContainmentRow.key).in_(joined.where(*leases))


def leases_where(wanted: ContainmentFilter) -> Iterator[Condition]:
    """Yield the conditions of a lease, whose query joins its run; none: every lease fits."""
    yield from equal((LeaseRow.id, wanted.lease), (LeaseRow.run_id, wanted.run_id))
    yield from _of_run(wanted)
    if wanted.person is not None:
        actor = f"person:{wanted.person}"
        yield or_(col(RunRow.started_by) == actor, col(LeaseRow.ended_by) == actor)


def tasks_where(wanted: TaskFilter) -> Iterator[Condition]:
    """Yield the conditions of tasks."""
    yield from within(wanted, TaskRow.opened_at)
    yield from begins(TaskRow.id, wanted.id_prefix)
    if wanted.state:
        yield col(TaskRow.state).in_(wanted.state)
    yield from equal((TaskRow.kind, wanted.kind), (TaskRow.subject, wanted.subject))
    if wanted.person is not None:
        yield col(TaskRow.closed_by) == f"person:{wanted.person}"


def notifications_where(wanted: NotificationFilter) -> Iterator[Condition]:
    """Yield the conditions of notifications."""
    yield from within(wanted, NotificationRow.created_at)
    if wanted.state:
        yield col(NotificationRow.state).in_(wanted.state)
    yield from equal((NotificationRow.about, wanted.about), (NotificationRow.person, wanted.person))


def rejected_where(wanted: RejectedFilter) -> Iterator[Condition]:
    """Yield the conditions of rejected deliveries."""
    yield from within(wanted, RejectedRow.received_at)
    yield from begins(RejectedRow.id, wanted.id_prefix)
    if wanted.state:
        yield col(RejectedRow.state).in_(wanted.state)
    yield from equal((RejectedRow.reason, wanted.reason))


def within(wanted: TimeFilter, moment: Any) -> Iterator[Condition]:
    """Yield the conditions that a moment lies in the period."""
    if wanted.since is not None:
        yield col(moment) >= wanted.since
    if wanted.until is not None:
        yield col(moment) < wanted.until


def begins(id_: Any, prefix: str | None) -> Iterator[Condition]:
    """Yield the condition that an id begins so: a range that an index finds, as ids end in hex."""
    if prefix is not None:
        yield col(id_) >= prefix
        yield col(id_) <= f"{prefix}g"


def equal(*pairs: tuple[Any, Any]) -> Sequence[Condition]:
    """Return the conditions that columns have these values; None is no condition."""
    return [col(column) == value for column, value in pairs if value is not None]


def _of_run(wanted: RunFilter | ApprovalFilter | ContainmentFilter) -> Iterator[Condition]:
    """Yield the conditions about a run, and about the alert that started it."""
    yield from equal(
        (RunRow.playbook, wanted.playbook),
        (RunRow.source, wanted.source),
        (RunRow.incident_id, wanted.incident_id),
    )
    if isinstance(wanted, RunFilter):
        yield from equal((RunRow.alert_id, wanted.alert_id))
    if wanted.severity is not None:
        yield col(RunRow.severity) >= wanted.severity
    of_alert = AlertFilter(alert_class=wanted.alert_class, observable=wanted.observable)
    if wanted.observable is not None:  # of few runs
        yield col(RunRow.alert_id).in_(select(col(AlertRow.id)).where(*alerts_where(of_alert)))
    elif conditions := list(alerts_where(of_alert)):
        same = col(AlertRow.id) == col(RunRow.alert_id)
        yield select(col(AlertRow.id)).where(same, *conditions).correlate(RunRow).exists()


def _responded(
    wanted: AlertFilter | IncidentFilter, table: Any, same: tuple[Any, Any]
) -> Iterator[Condition]:
    """Yield the condition that a run of a row fits, by the columns that join the two."""
    conditions = [*equal((RunRow.playbook, wanted.playbook))]
    if wanted.person is not None:
        decided = _decided_by(wanted.person).where(col(ApprovalRow.run_id) == col(RunRow.id))
        started = col(RunRow.started_by) == f"person:{wanted.person}"
        conditions.append(or_(started, decided.correlate(RunRow).exists()))
    joins, id_ = (col(column) for column in same)
    if wanted.target is not None:  # of few runs
        named = col(RunRow.id).in_(subjects_of(wanted.target))
        yield id_.in_(select(joins).where(named, *conditions))
    elif conditions:
        yield select(col(RunRow.id)).where(joins == id_, *conditions).correlate(table).exists()


def _decided_by(person: str) -> Any:
    """Return the query of decisions of a person on approvals."""
    same = col(DecisionRow.approval_id) == col(ApprovalRow.id)
    return select(col(DecisionRow.person)).where(same, col(DecisionRow.person) == person)
