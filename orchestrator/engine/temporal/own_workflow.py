"""Own workflow: activities of a live run are called by its workflow or by a child of it only.

Temporal is not believed. Its payloads are bound to their workflow; this refuses what passes
nevertheless, and alarms people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orchestrator.audit import trail
from orchestrator.contracts.approval import AskRequest
from orchestrator.contracts.change import ApplyRequest, PlanRequest, StepCall, VerifyRequest
from orchestrator.contracts.containment import HoldRequest
from orchestrator.contracts.names import run_workflow_id
from orchestrator.contracts.run import EventsRequest, RunContext, RunEnd, StepRecord
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Halted
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.run import Mode
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.incidents.tasks import open_task
from orchestrator.runtime import Runtime


class OwnWorkflowOnly(Interceptor):
    """Refuses an activity that a workflow calls for a run which is not its own."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  temporalio's name
        """Return the interceptor of one activity."""
        return _Check(next, self._rt)


class _Check(ActivityInboundInterceptor):
    def __init__(self, next_: ActivityInboundInterceptor, rt: Runtime) -> None:
        super().__init__(next_)
        self._rt = rt

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  temporalio's name
        called_by = activity.info().workflow_id or ""
        for run in _runs_of(input.args):
            if run.mode is Mode.LIVE and not _is_own(called_by, run):
                with translate_errors():
                    async with self._rt.store.write() as session:
                        why = await record_foreign(session, run, self._rt.clock())
                    raise Halted(why)
        return await super().execute_activity(input)


async def record_foreign(session: AsyncSession, run: RunContext, now: datetime) -> str:
    """Record, once, that a workflow acts for a run that is not its own. Return what to say."""
    info = activity.info()
    why = (
        f"workflow {info.workflow_id} does not carry out attempt {run.attempt} of run "
        f"{run.run_id}: it was started or reset past Tocsin, and nothing was done for it"
    )
    data = {"attempt": run.attempt, "workflow": info.workflow_id, "type": info.workflow_type}
    await trail.record(
        session,
        EventKind.WORKFLOW_REFUSED,
        actor="system",
        subject=run.run_id,
        data=data,
        now=now,
        event_id=trail.event_id(
            EventKind.WORKFLOW_REFUSED, run.run_id, info.workflow_id, info.workflow_run_id
        ),
    )
    await open_task(
        session,
        kind=TaskKind.FOREIGN_WORKFLOW,
        subject=run.run_id,
        summary=f"{why}. Find out who reaches Temporal, then close this task.",
        now=now,
    )
    return why


def _is_own(workflow_id: str, run: RunContext) -> bool:
    own = run_workflow_id(run.run_id, run.attempt)
    return workflow_id == own or workflow_id.startswith(f"{own}/")


def _runs_of(values: Iterable[Any]) -> Iterator[RunContext]:
    """Yield the runs that the arguments of an activity are about."""
    for value in values:
        match value:
            case RunContext():
                yield value
            case RunEnd() | EventsRequest():
                yield value.run
            case StepCall() | AskRequest() | HoldRequest() | StepRecord():
                yield value.ref.run
            case PlanRequest() | ApplyRequest() | VerifyRequest():
                yield value.call.ref.run
            case list():
                yield from _runs_of(value[:1])
            case _:
                pass
