"""How do runs look from outside? As plain JSON, without secrets."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.errors import NotFound
from orchestrator.domain.masking import masked
from orchestrator.runs.dry_run import would
from orchestrator.runtime import Runtime
from orchestrator.store.paging import after, bounded, page, said
from orchestrator.store.queries import runs, steps
from orchestrator.store.tables import RunRow, StepRow


async def list_runs(
    rt: Runtime,
    *,
    incident_id: str | None = None,
    status: str | None = None,
    playbook: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """Runs without their steps, newest first. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await runs.page(
            session,
            after=after(cursor),
            limit=bounded(limit),
            incident_id=incident_id,
            status=status,
            playbook=playbook,
        )
    return page(
        [_run(row) for row in rows], limit, (rows[-1].created_at, rows[-1].id) if rows else None
    )


async def get_run(rt: Runtime, run_id: str) -> dict[str, Any]:
    """A run with its steps, in the order in which they began, and what a dry one would have done. Raises NotFound."""
    async with rt.store.read() as session:
        run = await runs.get(session, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}")
        rows = await steps.of_run(session, run_id)
        return {**_run(run), "steps": [_step(row) for row in rows], "would": would(run, rows)}


def _run(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "playbook": row.playbook,
        "version": row.version,
        "playbook_digest": row.plan_digest,
        "mode": row.mode,
        "shadow_of": row.shadow_of,
        "attempt": row.attempt,
        "incident_id": row.incident_id,
        "alert_id": row.alert_id,
        "severity": row.severity,
        "inputs": masked(row.inputs),
        "started_by": row.started_by,
        "error": row.error,
        "created_at": said(row.created_at),
        "ended_at": said(row.ended_at),
    }


def _step(row: StepRow) -> dict[str, Any]:
    return {
        "id": row.path,
        "kind": row.kind,
        "state": row.state,
        "connection": row.connection,
        "action": row.action,
        "inputs": masked(row.inputs),
        "planned_change": masked(row.planned_change),
        "verdict": row.verdict,
        "result": masked(row.result),
        "error": row.error,
        "started_at": said(row.started_at),
        "ended_at": said(row.ended_at),
    }
