"""The interpreter's port on Temporal: activities, timers, child workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, is_cancelled_exception

from orchestrator.contracts.batch import BatchInput, BatchReply
from orchestrator.contracts.change import (
    ApplyReply,
    ApplyRequest,
    PlanReply,
    PlanRequest,
    ReadReply,
    RollBackInput,
    StepCall,
    UndoableStep,
    UndoReply,
    UndoRequest,
    VerifyReply,
    VerifyRequest,
)
from orchestrator.contracts.containment import HoldRequest
from orchestrator.contracts.names import Activity, Workflow
from orchestrator.contracts.run import (
    EventsReply,
    EventsRequest,
    RunContext,
    RunInput,
    StepRef,
)
from orchestrator.domain.change import Change
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Rejected
from orchestrator.engine.decide.scope import StepScope
from orchestrator.engine.temporal.activity_calls import (
    change_activity,
    read_activity,
    shielded,
    store_activity,
    undo_steps,
)
from orchestrator.engine.temporal.approvals_port import MAX_MESSAGE_BYTES, TemporalApprovals
from orchestrator.engine.temporal.inbox import Inbox
from orchestrator.engine.temporal.retries import retry_policy
from orchestrator.playbook.plan import ForEach, Use

MAX_UNDO_HERE = 50
"""Steps that are undone in the run's own history; more go to a child workflow."""
MAX_ID = 900
"""Characters of a workflow id; Temporal refuses more than 1000."""
MAX_EVENTS = 40_000
MAX_HISTORY_BYTES = 40_000_000
"""Temporal ends a workflow at about 50,000 events or 50 MB."""


class TemporalPort(TemporalApprovals):
    """The port of one run. A change or an undo that was begun is awaited, even after a cancel."""

    def __init__(self, given: RunInput, inbox: Inbox) -> None:
        super().__init__(inbox, self._check_can_begin)
        self._given = given
        self._actor = f"run:{given.run.run_id}"

    @property
    def run(self) -> RunContext:
        """The identity of the run."""
        return self._given.run

    def now(self) -> datetime:
        """Return the workflow's time."""
        return workflow.now()

    async def read(self, step: Use, call: StepCall) -> dict[str, Any]:
        """Return the output of a read."""
        self._check_can_begin()
        call = call.model_copy(update={"begun": self.take_begun()})
        return (await read_activity(Activity.READ, call, ReadReply, step)).output

    async def plan(
        self,
        step: Use,
        call: StepCall,
        *,
        lease: bool,
        hold: int | None,
        approved: Collection[str] | None = None,
    ) -> PlanReply:
        """Plan a change. A timeout or a cancellation ends it at once: planning changes nothing.

        The plan is in history before apply: the same workflow task records it and schedules that.
        """
        self._check_can_begin()
        digests = None if approved is None else tuple(sorted(approved))
        call = call.model_copy(update={"begun": self.take_begun()})
        request = PlanRequest(call=call, lease=lease, hold_seconds=hold, approved=digests)
        return await read_activity(Activity.PLAN, request, PlanReply, step)

    async def apply(
        self, step: Use, call: StepCall, change: Change, approval_id: str | None
    ) -> ApplyReply:
        """Apply a change. Raise Unknown when the worker died over it."""
        self._check_can_begin()
        request = ApplyRequest(call=call, change=change, approval_id=approval_id)
        retry = retry_policy(step.retry)
        return await shielded(change_activity(Activity.APPLY, request, ApplyReply, retry))

    async def verify(
        self, step: Use, call: StepCall, change: Change, output: dict[str, Any]
    ) -> bool:
        """Return whether the device shows the change. Raise Rejected when a person released it."""
        request = VerifyRequest(call=call, change=change, output=output)
        reply = await read_activity(Activity.VERIFY, request, VerifyReply, step)
        if reply.released:
            raise Rejected(reply.detail)
        return reply.verified

    async def hold(self, ref: StepRef, seconds: int) -> None:
        """Start the lease's timer, in the store."""
        request = HoldRequest(ref=ref, seconds=seconds)
        await shielded(store_activity(Activity.HOLD, request, None))

    async def undo(
        self, paths: Sequence[str], cause: LeaseEndReason, reason: str
    ) -> Sequence[UndoReply]:
        """Undo steps one by one; many in a child workflow, so that this history stays short."""
        run_id = self.run.run_id
        if len(paths) <= MAX_UNDO_HERE:
            requests = [
                UndoRequest(run_id=run_id, path=path, cause=cause, reason=reason, actor=self._actor)
                for path in paths
            ]
            return await shielded(undo_steps(requests))
        given = RollBackInput(
            run_id=run_id, paths=tuple(paths), cause=cause, reason=reason, actor=self._actor
        )
        child = workflow.execute_child_workflow(
            Workflow.ROLL_BACK,
            given,
            id=_child_id(f"roll_back/{paths[0]}"),
            result_type=list[UndoReply],
        )
        return await shielded(child)

    async def undoable_steps(self) -> Sequence[UndoableStep]:
        """Return the steps that can be undone, as the store has them."""
        return await store_activity(Activity.LIST_UNDOABLE, self.run, list[UndoableStep])

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """Return the alerts that joined the incident since then."""
        self._check_can_begin()
        request = EventsRequest(run=self.run, since=since)
        return (await store_activity(Activity.LIST_EVENTS, request, EventsReply)).alerts

    async def wait_for_event(self, seconds: float) -> None:
        """Wait for the signal that an alert joined the incident."""
        self._check_can_begin()
        before = self._inbox.new_alerts
        try:
            await workflow.wait_condition(
                lambda: self._inbox.new_alerts > before, timeout=timedelta(seconds=seconds)
            )
        except TimeoutError:
            return

    async def sleep(self, seconds: int) -> None:
        """Wait on a durable timer."""
        self._check_can_begin()
        if seconds > 0:
            await workflow.sleep(timedelta(seconds=seconds))

    async def batch(
        self,
        ref: StepRef,
        step: ForEach,
        first: int,
        items: list[Any],
        scope: StepScope,
        next_seq: int,
    ) -> BatchReply:
        """Run a slice in a child workflow: a few events of this history for a hundred items."""
        self._check_can_begin()
        await self.record_begun()
        given = self._batch_input(ref, step, first, items, scope, next_seq)
        last = first + len(items) - 1
        if (size := len(given.model_dump_json())) > MAX_MESSAGE_BYTES:
            raise Rejected(
                f"the input of items {first} to {last} has {size} bytes, "
                f"more than {MAX_MESSAGE_BYTES}"
            )
        try:
            reply: BatchReply = await workflow.execute_child_workflow(
                Workflow.BATCH,
                given,
                id=_child_id(f"{ref.path}/{first}"),
                result_type=BatchReply,
            )
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            raise Rejected(f"items {first} to {last}: {error.cause or error}") from error
        return reply

    def _batch_input(
        self,
        ref: StepRef,
        step: ForEach,
        first: int,
        items: list[Any],
        scope: StepScope,
        next_seq: int,
    ) -> BatchInput:
        """Strip the run to what the batch needs; the step is passed separately."""
        given, approval = self._given, scope.approval
        carried = {
            path: result
            for path, result in given.carried.items()
            if path.startswith(f"{ref.path}[")
        }
        plan = given.plan.model_copy(update={"steps": (), "on_failure": "stop", "trigger": None})
        run = given.model_copy(
            update={"plan": plan, "carried": carried, "alert": None, "inputs": {}}
        )
        return BatchInput(
            run=run,
            step=step,
            first=first,
            items=items,
            names=dict(scope.names),
            steps=scope.steps,
            prefix=scope.prefix,
            question=approval.question if approval else None,
            approved=dict(approval.approved) if approval else {},
            declined=tuple(sorted(approval.declined)) if approval else (),
            holds=dict(approval.holds) if approval else {},
            next_seq=next_seq,
        )

    def _check_can_begin(self) -> None:
        """Raise CancelledError after a cancel, and Rejected before the history is full.

        An undo does not ask: it continues in either case.
        """
        if self._inbox.is_cancelled:
            raise asyncio.CancelledError
        info = workflow.info()
        if (
            info.get_current_history_length() > MAX_EVENTS
            or info.get_current_history_size() > MAX_HISTORY_BYTES
        ):
            raise Rejected(
                "the run's history is full; use a long `for_each`, or split the playbook in two"
            )


def _child_id(name: str) -> str:
    """Return the id of a child workflow. The middle of a very long one is a digest."""
    whole = f"{workflow.info().workflow_id}/{name}"
    if len(whole) <= MAX_ID:
        return whole
    return f"{whole[: MAX_ID - 100]}/{digest(whole)}/{whole[-30:]}"
