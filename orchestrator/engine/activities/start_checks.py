"""May this run begin? Only with the plan that was published, where it is demanded signed, and within its limit or with people's yes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.contracts.messages import RunContext
from orchestrator.contracts.question import Question
from orchestrator.domain.audit_event import EventKind
from orchestrator.incidents.tasks import open_task
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.registry.evidence import objection
from orchestrator.settings import Settings
from orchestrator.store.queries import approvals, runs


async def question(session: AsyncSession, run: RunContext) -> Question | None:
    """What people are asked before it begins: it goes beyond its playbook's `runs_per_hour`, and nobody has agreed with that yet."""
    row = await runs.get(session, run.run_id)
    if row is None or row.over_limit is None or await approvals.begun(session, run.run_id):
        return None
    limits = (await policy_in_force(session)).policy.limits
    alert = await runs.alert_of(session, run.run_id)
    why = f"{run.playbook} allows itself {row.over_limit} runs in an hour, which are used up: people are asked"
    about = f" about {alert.title}" if alert else ""
    key = (f"once per: {row.once_key}",) if row.once_key else ()
    return Question(
        text=f"Let one more run of {run.playbook} begin{about}?",
        by=limits.by,
        quorum=limits.quorum,
        reasons=(why, *key),
    )


async def refusal(
    session: AsyncSession, settings: Settings, run: RunContext, now: datetime
) -> str | None:
    """Why the run may not begin, recorded, and people told; None: it may. Whoever can start workflows still needs the store's word."""
    row = await runs.get(session, run.run_id)
    if row is None or (row.playbook, row.version, row.plan_digest) != (
        run.playbook,
        run.version,
        run.plan_digest,
    ):
        return "the run is not in the store as it was started"
    return await refused_version(session, settings, run, now)


async def refused_version(
    session: AsyncSession, settings: Settings, run: RunContext, now: datetime
) -> str | None:
    """What is wrong with the run's version as it stands in the store, recorded, and people told; None: nothing."""
    why = await objection(
        session, settings, await runs.playbook(session, run.playbook, run.version), run.plan_digest
    )
    if why is not None:
        told = {
            "version": run.version,
            "playbook_digest": run.plan_digest,
            "run": run.run_id,
            "reason": why,
        }
        id_ = trail.event_id(run.run_id, run.attempt, EventKind.PLAYBOOK_REFUSED)
        await trail.record(
            session,
            EventKind.PLAYBOOK_REFUSED,
            actor=f"run:{run.run_id}",
            subject=run.playbook,
            data=told,
            now=now,
            event_id=id_,
        )
        await open_task(
            session,
            kind="refused_playbook",
            subject=f"{run.playbook}@{run.version}",
            summary=why,
            now=now,
        )
    return why
