"""Dispatch: runs in the database are started in Temporal, once per attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit import trail
from orchestrator.contracts.names import TASK_QUEUE, Workflow, run_workflow_id
from orchestrator.contracts.run import RunInput
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid
from orchestrator.domain.run import Mode, RunStatus, StepState
from orchestrator.engine.activities.start_checks import version_refusal
from orchestrator.engine.run_context import run_context
from orchestrator.engine.temporal.client import RPC_TIMEOUT
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs, steps
from orchestrator.store.tables import AlertRow, PlaybookRow, RunRow, StepRow
from orchestrator.tracing.process import continued_trace

_log = structlog.get_logger(__name__)

BATCH = 20
_PRIORITY = {6: 1, 5: 1, 4: 2, 3: 3, 2: 4}
_DRY_RUN_PRIORITY = 5  # dry runs wait for live ones
_FAIRNESS_BYTES = 64
_FINISHED = {StepState.DONE, StepState.VERIFIED, StepState.SKIPPED}
_RETRYABLE_REFUSALS = {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.OUT_OF_RANGE}


async def dispatch(rt: Runtime, client: Client, run_ids: Sequence[str]) -> int:
    """Start the runs that Temporal does not have. Return how many it has now.

    While Temporal is down, return 0 and raise nothing.
    """
    if not run_ids:
        return 0
    async with rt.store.read() as session:
        found = await runs.to_start(session, run_ids)
        retried = {
            run.id: await steps.of_run(session, run.id) for run, _, _ in found if run.attempt > 1
        }
    started: list[RunRow] = []
    failed: list[tuple[RunRow, str]] = []
    for first in range(0, len(found), BATCH):
        slice_ = found[first : first + BATCH]
        outcomes = await asyncio.gather(
            *(_start(client, *item, retried.get(item[0].id, [])) for item in slice_)
        )
        started += [
            item[0] for item, outcome in zip(slice_, outcomes, strict=True) if outcome is True
        ]
        if outcomes and not any(outcomes):
            break  # Temporal is down: the reconciler starts the rest
        failed += [
            (item[0], outcome)
            for item, outcome in zip(slice_, outcomes, strict=True)
            if isinstance(outcome, str)
        ]
    await _mark(rt, started, failed)
    return len(started)


async def _start(
    client: Client,
    run: RunRow,
    playbook: PlaybookRow | None,
    alert: AlertRow | None,
    before: list[StepRow],
) -> bool | str:
    """Return whether Temporal has the run; a text when it never will."""
    try:
        message = _input(run, playbook, alert, before)
        with continued_trace(run.trace):
            await _start_workflow(client, run, message)
    except WorkflowAlreadyStartedError:
        return True
    except (Invalid, ValueError) as error:
        return str(error)
    except RPCError as error:
        if error.status in _RETRYABLE_REFUSALS:
            return f"Temporal refuses the run: {error.message}"
        _log.warning("run not started yet", run_id=run.id, status=error.status.name)
        return False
    except RuntimeError as error:  # raised by a client that has not connected yet
        _log.warning("run not started yet", run_id=run.id, reason=type(error).__name__)
        return False
    return True


async def _start_workflow(client: Client, run: RunRow, message: RunInput) -> None:
    await client.start_workflow(
        Workflow.RUN,
        message,
        id=run_workflow_id(run.id, run.attempt),
        task_queue=TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        priority=Priority(
            priority_key=_PRIORITY.get(run.severity, 5)
            if run.mode == Mode.LIVE
            else _DRY_RUN_PRIORITY,
            fairness_key=_fairness_key(run.source),
        ),
        # A run that Temporal lost while it was being cancelled goes on being cancelled.
        start_signal="cancel_run" if run.cancel_requested_by else None,
        start_signal_args=[run.cancel_requested_by] if run.cancel_requested_by else [],
        rpc_timeout=RPC_TIMEOUT,
    )


def _input(
    run: RunRow, playbook: PlaybookRow | None, alert: AlertRow | None, before: list[StepRow]
) -> RunInput:
    if playbook is None or playbook.digest != run.plan_digest:
        raise Invalid(
            f"{run.playbook} version {run.version} is not in the database as it was when the run "
            "was created"
        )
    if run.alert_id is not None and alert is None:
        raise Invalid(f"alert {run.alert_id} is not in the database")
    return RunInput(
        run=run_context(run),
        plan=Plan.model_validate(playbook.plan),
        alert=alert.view if alert else None,
        inputs=run.inputs,
        started_at=run.begun_at or run.created_at,
        carried=carried_results(before),
        next_seq=max((step.seq for step in before), default=0) + 1,
    )


def carried_results(before: Iterable[StepRow]) -> dict[str, Any]:
    """Return results by path of the steps that an earlier attempt finished.

    Not of those that were undone, or that contain a step that was.
    """
    rows = list(before)
    open_ = [row.path for row in rows if row.state not in _FINISHED]
    finished = (
        row
        for row in rows
        if row.state in _FINISHED and not any(_is_inside(path, row.path) for path in open_)
    )
    return {row.path: row.result for row in finished}


def _is_inside(path: str, of: str) -> bool:
    return path.startswith((f"{of}/", f"{of}["))


def _fairness_key(source: str | None) -> str | None:
    return source.encode()[:_FAIRNESS_BYTES].decode("utf-8", "ignore") if source else None


async def _mark(
    rt: Runtime, started: Sequence[RunRow], failed: Sequence[tuple[RunRow, str]]
) -> None:
    if not started and not failed:
        return
    now = rt.clock()
    async with rt.store.write() as session:
        for run in started:
            await runs.mark_dispatched(session, run.id, run.attempt)
        for run, error in failed:
            if await runs.set_status(
                session, run.id, run.attempt, RunStatus.FAILED, error=error, ended_at=now
            ):
                data = {
                    "status": RunStatus.FAILED,
                    "error": error,
                    "attempt": run.attempt,
                    "playbook": run.playbook,
                    "version": run.version,
                }
                await trail.record(
                    session, EventKind.RUN_ENDED, actor="system", subject=run.id, data=data, now=now
                )
                # A plan that is unreadable or differs from the run's stops here.
                await version_refusal(session, rt.settings, run_context(run), now)
