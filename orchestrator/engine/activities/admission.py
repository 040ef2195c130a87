"""May this run begin? Only with the plan that was published, and where it is demanded, signed; before anything is done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.engine.activities.written import event_id
from orchestrator.engine.contracts import RunContext
from orchestrator.promotion.evidence import objection
from orchestrator.settings import Settings
from orchestrator.store import runs
from orchestrator.store.matters import open_matter


async def refusal(session: AsyncSession, settings: Settings, run: RunContext, now: datetime) -> str | None:
    """Why the run may not begin, recorded, and people told; None: it may. Whoever can start workflows still needs the store's word."""
    row = await runs.get(session, run.run_id)
    if row is None or (row.playbook, row.version, row.plan_digest) != (run.playbook, run.version, run.plan_digest):
        return "the run is not in the store as it was started"
    why = await objection(session, settings, await runs.playbook(session, run.playbook, run.version), run.plan_digest)
    if why is not None:
        told = {"version": run.version, "playbook_digest": run.plan_digest, "run": run.run_id, "reason": why}
        id_ = event_id(run.run_id, run.attempt, EventKind.PLAYBOOK_REFUSED)
        await trail.record(
            session, EventKind.PLAYBOOK_REFUSED, actor=f"run:{run.run_id}", subject=run.playbook, data=told, now=now, event_id=id_
        )
        await open_matter(session, kind="refused_playbook", subject=f"{run.playbook}@{run.version}", summary=why, now=now)
    return why
