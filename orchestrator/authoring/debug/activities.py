"""The activities of debug sessions: start, await and undo the run of a step; audit the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from temporalio import activity
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.authoring.debug.apply_step import start_step
from orchestrator.containments.release import release
from orchestrator.contracts.debug import (
    ApplyStepRequest,
    AwaitStepRequest,
    DebugEnd,
    StepRunEnd,
    UndoStepRequest,
)
from orchestrator.contracts.names import Activity
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, NotFound, Unavailable
from orchestrator.domain.run import RunStatus
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, runs, steps

_POLL_SECONDS = 0.2


def debug_activities(rt: Runtime, client: Client) -> list[Callable[..., Any]]:
    """Return the activities, for a worker."""
    bound = DebugActivities(rt, client)
    return [bound.start, bound.await_end, bound.undo, bound.end]


class DebugActivities:
    """The activities that the workflow of a session calls besides those of the engine."""

    def __init__(self, rt: Runtime, client: Client) -> None:
        self._rt = rt
        self._client = client

    @activity.defn(name=Activity.DEBUG_START_STEP)
    async def start(self, request: ApplyStepRequest) -> str:
        """Commit the run of a step and dispatch it; return its id. Idempotent."""
        with translate_errors():
            await start_step(self._rt, request)
            await dispatch(self._rt, self._client, [request.run_id])
            return request.run_id

    @activity.defn(name=Activity.DEBUG_AWAIT_STEP)
    async def await_end(self, request: AwaitStepRequest) -> StepRunEnd:
        """Return how the run of a step ended, once it has."""
        with translate_errors():
            while True:
                async with self._rt.store.read() as session:
                    run = await runs.get(session, request.run_id)
                    if run is None:
                        raise NotFound(f"run {request.run_id} does not exist")
                    status = RunStatus(run.status)
                    if not status.open:
                        step = await steps.get(session, run.id, request.step_id)
                        result = step.result if step else None
                        return StepRunEnd(status=status, error=run.error, result=result)
                # Other workers write the end of the run; nothing signals it.
                await asyncio.sleep(_POLL_SECONDS)

    @activity.defn(name=Activity.DEBUG_UNDO_STEP)
    async def undo(self, request: UndoStepRequest) -> None:
        """End the run of a step, and release all that it holds. Idempotent."""
        with translate_errors():
            # Most runs are over by now. One that cannot be cancelled ends with its lease.
            with suppress(Conflict, Unavailable, NotFound):
                await cancel_run(self._rt, self._client, request.run_id, actor=request.actor)
            async with self._rt.store.read() as session:
                leases = await containments.live_leases_of_run(session, request.run_id)
            for lease in leases:
                with suppress(Conflict):  # released in the meantime
                    await release(
                        self._rt,
                        lease.containment_key,
                        lease=lease.id,
                        actor=request.actor,
                        reason="the debug session ended",
                    )

    @activity.defn(name=Activity.DEBUG_END)
    async def end(self, ended: DebugEnd) -> None:
        """Audit the end of a session. Idempotent."""
        run = ended.run.run
        data = {
            "version": run.version,
            "session": run.run_id,
            "result": ended.result,
            "applied": [
                {"run": each.run_id, "path": each.path, "kept": each.kept} for each in ended.applied
            ],
        }
        with translate_errors():
            async with self._rt.store.write() as session:
                await trail.record(
                    session,
                    EventKind.DEBUG_ENDED,
                    actor=run.started_by,
                    subject=run.playbook,
                    data=data,
                    now=self._rt.clock(),
                    event_id=trail.event_id(run.run_id, EventKind.DEBUG_ENDED),
                )
