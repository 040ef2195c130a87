"""Checks before a run starts or acts: its workflow, published plan, signatures, run limit."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.audit import trail
from orchestrator.contracts.approval import Question
from orchestrator.contracts.names import run_workflow_id
from orchestrator.contracts.run import RunContext
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Halted
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.run import Mode
from orchestrator.engine.temporal.own_workflow import record_foreign
from orchestrator.incidents.tasks import open_task
from orchestrator.policy.load_inputs import load_policy
from orchestrator.registry.trust import start_objection
from orchestrator.settings import Settings
from orchestrator.store.queries import approvals, runs
from orchestrator.store.statements.runs import RunState, run_state
from orchestrator.store.statements.sealed import playbook_version
from orchestrator.store.tables import RunRow


async def is_current(session: AsyncSession, run: RunContext) -> bool:
    """Return whether the store has the run as open, in this attempt or an earlier one.

    A workflow of another run must not act: the two databases may have been restored from different
    moments, or it was started past the API.
    """
    row = await run_state(session, run.run_id)
    return (
        row is not None
        and row.status.open
        and row.attempt <= run.attempt
        and is_own_execution(row, run)
    )


def is_own_execution(row: RunRow | RunState, run: RunContext) -> bool:
    """Return whether the workflow that began this attempt calls, or a child of it.

    Temporal's tools can start a workflow again under the same id, or reset it to an earlier event.
    """
    if row.attempt != run.attempt or row.execution is None:
        return True
    return execution_of(run) in {None, row.execution}


def execution_of(run: RunContext) -> str | None:
    """Return Temporal's run id of the run's own workflow; None where a child of it calls."""
    info = activity.info()
    is_own = info.workflow_id == run_workflow_id(run.run_id, run.attempt)
    return info.workflow_run_id if is_own else None


async def check_current(session: AsyncSession, run: RunContext) -> None:
    """Raise Halted unless a live run is current. A debug session, which is dry, is not stored."""
    if run.mode is Mode.LIVE and not await is_current(session, run):
        raise Halted(
            f"attempt {run.attempt} of run {run.run_id} is not open in the store, or another "
            "workflow carries it out, so that nothing is planned or applied here"
        )


async def start_question(session: AsyncSession, run: RunContext) -> Question | None:
    """Return what people are asked before a run beyond its `runs_per_hour` begins."""
    row = await runs.get(session, run.run_id)
    if row is None or row.over_limit is None:
        return None
    if await approvals.is_start_approved(session, run.run_id):
        return None
    limits = (await load_policy(session)).policy.limits
    alert = await runs.get_alert(session, run.run_id)
    about = f" about {alert.title}" if alert else ""
    why = f"{run.playbook} has used its {row.over_limit} runs of this hour"
    key = (f"once per: {row.once_key}",) if row.once_key else ()
    return Question(
        text=f"Let one more run of {run.playbook} begin{about}?",
        by=limits.by,
        quorum=limits.quorum,
        reasons=(why, *key),
    )


async def start_refusal(
    session: AsyncSession, settings: Settings, run: RunContext, now: datetime
) -> str | None:
    """Return why the run may not begin, recorded and with a task; None: it may.

    A workflow that was started past the API is refused here.
    """
    row = await runs.get(session, run.run_id)
    if row is None or (row.playbook, row.version, row.plan_digest) != (
        run.playbook,
        run.version,
        run.plan_digest,
    ):
        return "the run is not in the store as it was started"
    if row.status.open and not is_own_execution(row, run):
        return await record_foreign(session, run, now)
    if not await is_current(session, run):
        return f"attempt {run.attempt} of the run has ended in the store"
    return await version_refusal(session, settings, run, now)


async def version_refusal(
    session: AsyncSession, settings: Settings, run: RunContext, now: datetime
) -> str | None:
    """Return what is wrong with the run's stored version, recorded and with a task."""
    version = await playbook_version(session, run.playbook, run.version)
    why = await start_objection(session, settings, version, run.plan_digest)
    if why is None:
        return None
    data = {
        "version": run.version,
        "playbook_digest": run.plan_digest,
        "run": run.run_id,
        "reason": why,
    }
    await trail.record(
        session,
        EventKind.PLAYBOOK_REFUSED,
        actor=f"run:{run.run_id}",
        subject=run.playbook,
        data=data,
        now=now,
        event_id=trail.event_id(run.run_id, run.attempt, EventKind.PLAYBOOK_REFUSED),
    )
    await open_task(
        session,
        kind=TaskKind.REFUSED_PLAYBOOK,
        subject=f"{run.playbook}@{run.version}",
        summary=why,
        now=now,
    )
    return why
