"""The statements of the webhook, by name, built from the tables so that they agree with them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Integer, bindparam, delete, func, insert, select, union_all, update
from sqlmodel import col

from orchestrator.domain.incident import IncidentStatus
from orchestrator.store.statements.statement import POSTGRESQL, Statement, insert_into, one_of
from orchestrator.store.tables import (
    AlertRow,
    AssetNameRow,
    AssetRow,
    IncidentRow,
    PlaybookRow,
    ReplayRow,
    RunKeyRow,
    RunRow,
    SourceDayRow,
    SourceRow,
)
from orchestrator.store.tables.columns import UtcDateTime


def _table(row: type[Any]) -> Any:
    return row.__table__


def _known_alerts(dialect: str) -> Any:
    return select(col(AlertRow.dedup_key), col(AlertRow.id), col(AlertRow.incident_id)).where(
        col(AlertRow.source) == bindparam("source"),
        one_of(col(AlertRow.dedup_key), "keys", dialect),
    )


def _open_incidents(dialect: str) -> Any:
    return (
        select(col(IncidentRow.correlation_key), col(IncidentRow.id))
        .where(
            one_of(col(IncidentRow.correlation_key), "keys", dialect),
            col(IncidentRow.last_alert_at) >= bindparam("since"),
            col(IncidentRow.status) == IncidentStatus.OPEN,
        )
        .order_by(col(IncidentRow.last_alert_at), col(IncidentRow.id))
    )


def _incidents_of_fingerprints(dialect: str) -> Any:
    return (
        select(col(AlertRow.fingerprint), col(AlertRow.incident_id))
        .where(
            col(AlertRow.source) == bindparam("source"),
            one_of(col(AlertRow.fingerprint), "fingerprints", dialect),
        )
        .order_by(col(AlertRow.received_at), col(AlertRow.id))
    )


def _newest_triggers(_: str) -> Any:
    """Return name, version, digest and stage of each playbook's newest live version and shadow.

    Retired versions are left out, and so is a newest one that is set aside.
    """
    newest = (
        select(col(PlaybookRow.name), func.max(col(PlaybookRow.version)).label("version"))
        .where(col(PlaybookRow.retired).is_(False))
        .group_by(col(PlaybookRow.name), col(PlaybookRow.stage))
        .subquery()
    )
    joined = (newest.c.name == col(PlaybookRow.name)) & (
        newest.c.version == col(PlaybookRow.version)
    )
    columns = (PlaybookRow.name, PlaybookRow.version, PlaybookRow.digest, PlaybookRow.stage)
    return (
        select(*(col(column) for column in columns))
        .join(newest, joined)
        .where(col(PlaybookRow.set_aside_at).is_(None))
        .order_by(col(PlaybookRow.name))
    )


def _inventory_names(dialect: str) -> Any:
    return union_all(
        *(
            select(col(row.type), col(row.value)).where(one_of(col(row.value), "values", dialect))
            for row in (AssetNameRow, AssetRow)
        )
    )


def _remember(dialect: str) -> Any:
    added = insert_into(ReplayRow, dialect)
    return added.on_conflict_do_update(
        index_elements=["source", "message_id"],
        set_={"sent": added.excluded.sent, "seen_at": added.excluded.seen_at},
        where=(col(ReplayRow.body_sha256) == added.excluded.body_sha256)
        & (col(ReplayRow.sent) < added.excluded.sent),
    ).returning(col(ReplayRow.message_id))


def _join_incident(dialect: str) -> Any:
    highest = func.greatest if dialect == POSTGRESQL else func.max
    severity = bindparam("least_severity", type_=Integer())
    at = bindparam("at", type_=UtcDateTime())
    return (
        update(_table(IncidentRow))
        .where(col(IncidentRow.id) == bindparam("incident"))
        .values(
            alerts=col(IncidentRow.alerts) + bindparam("new"),
            incomplete=col(IncidentRow.incomplete) + bindparam("left_out"),
            severity=highest(col(IncidentRow.severity), severity),
            last_alert_at=highest(col(IncidentRow.last_alert_at), at),
        )
    )


def _count_deliveries(dialect: str) -> Any:
    added = insert_into(SourceDayRow, dialect)
    counts = ("accepted", "duplicates", "unreadable", "partial", "refused")
    again: dict[str, Any] = {
        name: getattr(SourceDayRow, name) + added.excluded[name] for name in counts
    }
    again["last_at"] = added.excluded.last_at
    again["unreadable_at"] = func.coalesce(
        added.excluded.unreadable_at, col(SourceDayRow.unreadable_at)
    )
    return added.on_conflict_do_update(index_elements=["source", "day"], set_=again)


def _claim(dialect: str) -> Any:
    added = insert_into(RunKeyRow, dialect)
    return added.on_conflict_do_update(
        index_elements=["playbook", "once_key"],
        set_={"run_id": added.excluded.run_id, "at": added.excluded.at},
        where=col(RunKeyRow.at) < bindparam("before"),
    ).returning(col(RunKeyRow.run_id))


SOURCE: Final = Statement(
    "source", lambda _: select(_table(SourceRow)).where(col(SourceRow.name) == bindparam("source"))
)
KNOWN_ALERTS: Final = Statement("known alerts", _known_alerts)
OPEN_INCIDENTS: Final = Statement("open incidents", _open_incidents)
"""The open incidents with these keys and an alert since a moment; the newest last."""
INCIDENTS_OF_FINGERPRINTS: Final = Statement(
    "incidents of fingerprints", _incidents_of_fingerprints
)
"""The incidents of a source's alerts with these fingerprints; the newest last."""
NEWEST_TRIGGERS: Final = Statement("newest triggers", _newest_triggers)
INVENTORY_NAMES: Final = Statement("inventory names", _inventory_names)
"""The types and values of the inventory among these values."""
MESSAGE: Final = Statement(
    "message",
    lambda _: select(col(ReplayRow.sent), col(ReplayRow.body_sha256)).where(
        col(ReplayRow.source) == bindparam("source"),
        col(ReplayRow.message_id) == bindparam("message"),
        col(ReplayRow.seen_at) >= bindparam("since"),
    ),
)
FORGET_MESSAGES: Final = Statement(
    "forget messages",
    lambda _: delete(_table(ReplayRow)).where(col(ReplayRow.seen_at) < bindparam("before")),
)
REMEMBER_MESSAGE: Final = Statement("remember message", _remember)
"""Returns the message id, unless it was remembered with another body or a later time."""
INSERT_ALERT: Final = Statement("insert alert", lambda _: insert(_table(AlertRow)))
INSERT_INCIDENT: Final = Statement("insert incident", lambda _: insert(_table(IncidentRow)))
INSERT_RUN: Final = Statement("insert run", lambda _: insert(_table(RunRow)))
JOIN_INCIDENT: Final = Statement("join incident", _join_incident)
SEEN_AGAIN: Final = Statement(
    "seen again",
    lambda _: (
        update(_table(AlertRow))
        .where(col(AlertRow.id) == bindparam("alert"))
        .values(seen=col(AlertRow.seen) + bindparam("times"), last_seen_at=bindparam("at"))
    ),
)
COUNT_DELIVERIES: Final = Statement("count deliveries", _count_deliveries)
KEY_HOLDER: Final = Statement(
    "key holder",
    lambda _: select(col(RunKeyRow.run_id), col(RunKeyRow.at)).where(
        col(RunKeyRow.playbook) == bindparam("playbook_name"),
        col(RunKeyRow.once_key) == bindparam("key"),
    ),
)
CLAIM_KEY: Final = Statement("claim key", _claim)
"""Returns the run, unless another one claimed the key since `before`."""

ALL: Final = {
    name: value for name, value in dict(globals()).items() if isinstance(value, Statement)
}
"""Every statement by its name."""
