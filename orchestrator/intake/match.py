"""Which playbooks an alert starts, as rows in the transaction that commits the alert."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.identifiers import new_id
from orchestrator.domain.observable import canonical_host, canonical_user
from orchestrator.playbook.expressions import ExpressionError, condition, evaluate_text
from orchestrator.playbook.plan import Plan
from orchestrator.store import alerts, runs
from orchestrator.store.tables import AlertRow, PlaybookRow, RunRow

MAX_PLANS = 1024  # compiled plans that are kept parsed

_log = structlog.get_logger(__name__)


async def start_matching(session: AsyncSession, alert: AlertRow, now: datetime) -> list[str]:
    """Makes a run for each playbook whose trigger fits; their ids. Every decision stands in the trail."""
    made: list[str] = []
    for row in await alerts.newest_triggers(session):
        plan = _plan(row.digest, row.name, row.version) or _remember(row)
        if plan.trigger is not None and (key := _key(plan, alert.view)) is not None:
            run_id = await _start(session, plan, row, alert, key, now)
            made += [run_id] if run_id else []
    return made


async def with_assets(session: AsyncSession, view: dict[str, Any]) -> dict[str, Any]:
    """The view with `kind`, `critical` and `tags` from the inventory: the alert itself has no say in them."""
    host, user = view.get("host"), view.get("user")
    if host:
        names = [canonical_host(name) for name in (host.get("id"), host.get("name")) if name]
        known = await alerts.asset(session, "host", names) or await alerts.asset(session, "address", [host.get("address") or ""])
        kept = {"kind": known.kind, "critical": known.critical, "tags": list(known.tags)} if known else {}
        host = {**host, "kind": "unknown", "critical": False, "tags": [], **kept}
    if user:
        names = [canonical_user(name) for name in (user.get("name"), user.get("email")) if name]
        known = await alerts.asset(session, "user", names)
        user = {**user, "critical": bool(known and known.critical), "tags": list(known.tags) if known else []}
    return {**view, "host": host, "user": user}


async def _start(session: AsyncSession, plan: Plan, row: PlaybookRow, alert: AlertRow, key: str, now: datetime) -> str | None:
    assert plan.trigger is not None  # noqa: S101 - the caller has looked
    run_id = new_id("run")
    about = {"playbook": row.name, "version": row.version, "alert_id": alert.id, "once_per": key}
    holder = await alerts.claim(session, row.name, key, run_id, now, timedelta(seconds=plan.trigger.within))
    if holder != run_id:
        await trail.record(session, EventKind.RUN_SUPPRESSED, actor="system", subject=holder, data=about, now=now)
        return None
    limit = plan.limits.runs_per_hour
    over = limit is not None and await alerts.runs_since(session, row.name, now - timedelta(hours=1)) >= limit
    run = RunRow(
        id=run_id,
        playbook=row.name,
        version=row.version,
        plan_digest=row.digest,
        incident_id=alert.incident_id,
        alert_id=alert.id,
        source=alert.source,
        severity=alert.severity,
        status="failed" if over else "running",
        once_key=key,
        started_by=f"source:{alert.source}",
        dispatched=over,
        error=f"not started: the playbook's limit of {limit} runs per hour is used up; start it by hand if it is needed" if over else None,
        created_at=now,
        ended_at=now if over else None,
    )
    await runs.add(session, run)
    kind = EventKind.RUN_LIMITED if over else EventKind.RUN_CREATED
    await trail.record(session, kind, actor="system", subject=run_id, data=about, now=now)
    return None if over else run_id


def _key(plan: Plan, view: dict[str, Any]) -> str | None:
    """The run's key where the trigger fits. A field that this alert does not have is no match."""
    assert plan.trigger is not None  # noqa: S101
    try:
        if not condition(plan.trigger.when, {"alert": view}):
            return None
        return evaluate_text(plan.trigger.once_per, {"alert": view})
    except ExpressionError as error:
        _log.info("a trigger could not be evaluated", playbook=plan.playbook, reason=str(error), alert=view.get("id"))
        return None


_plans: dict[tuple[str, str, int], Plan] = {}


def _plan(digest: str, name: str, version: int) -> Plan | None:
    return _plans.get((digest, name, version))


def _remember(row: PlaybookRow) -> Plan:
    if len(_plans) >= MAX_PLANS:
        _plans.clear()
    plan = Plan.model_validate(row.plan)
    _plans[row.digest, row.name, row.version] = plan
    return plan
