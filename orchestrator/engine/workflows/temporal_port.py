"""The port onto Temporal: each wish of the interpreter becomes an activity, a timer or a wait for people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from orchestrator.domain.errors import Halted, Rejected, TocsinError, Unavailable
from orchestrator.domain.receipt import Change
from orchestrator.domain.run import StepState
from orchestrator.engine.contracts import (
    ActionCall,
    Activity,
    ApplyReply,
    ApplyRequest,
    AskReply,
    AskRequest,
    BatchInput,
    Decision,
    EventsReply,
    EventsRequest,
    HoldRequest,
    PlanReply,
    PlanRequest,
    ReadReply,
    RunContext,
    RunInput,
    StepRecord,
    StepRef,
    Undoable,
    UndoReply,
    UndoRequest,
    VerifyReply,
    VerifyRequest,
    Workflow,
)
from orchestrator.engine.pipeline import Question
from orchestrator.playbook.plan import Ask, ForEach, Retry, Use

R = TypeVar("R")

LOCAL_SECONDS = 10
"""What a read may take as a local activity; a step with a longer timeout is a regular one from the start."""
ACTION_TIME = timedelta(minutes=10)
HEARTBEAT = timedelta(seconds=60)
BOOKKEEPING = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
"""The store being away is no reason to give up: nothing is done that is not written down."""
RELEASING = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))
MAX_RESULT = 200_000  # bytes of one step's result


@dataclass
class Mail:
    """What reaches the workflow from outside."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    nudges: int = 0


class TemporalPort:
    """One run's port. Applying and undoing are always seen to their end, also when the run is cancelled meanwhile."""

    def __init__(self, given: RunInput, mail: Mail, actor: str) -> None:
        self._given = given
        self._mail = mail
        self._actor = actor

    @property
    def run(self) -> RunContext:
        """Which run this is."""
        return self._given.run

    def now(self) -> datetime:
        """The workflow's clock."""
        return workflow.now()

    async def read(self, step: Use, call: ActionCall) -> dict[str, Any]:
        """A local activity while it is quick, a regular one when not."""
        reply = await _quick(Activity.READ, call, ReadReply, step)
        if len(str(reply.output)) > MAX_RESULT:
            raise Rejected(f"the result is larger than {MAX_RESULT} bytes")
        return reply.output

    async def plan(self, step: Use, call: ActionCall, *, lease: bool, hold: int | None) -> PlanReply:
        """Recorded in history with the same task that schedules what follows, so before any apply."""
        return await _quick(Activity.PLAN, PlanRequest(call=call, lease=lease, hold_seconds=hold), PlanReply, step)

    async def apply(self, step: Use, call: ActionCall, change: Change, approval_id: str | None) -> ApplyReply:
        """A regular activity, awaited whatever happens."""
        request = ApplyRequest(call=call, change=change, approval_id=approval_id)
        return await _to_the_end(_regular(Activity.APPLY, request, ApplyReply, _retry(step.retry), ACTION_TIME))

    async def verify(self, step: Use, call: ActionCall, change: Change, output: dict[str, Any]) -> bool:
        """A read like any other."""
        reply = await _quick(Activity.VERIFY, VerifyRequest(call=call, change=change, output=output), VerifyReply, step)
        return reply.verified

    async def hold(self, ref: StepRef, containment_key: str, seconds: int) -> None:
        """The lease's clock starts in a workflow of its own."""
        request = HoldRequest(ref=ref, containment_key=containment_key, seconds=seconds)
        await _to_the_end(_regular(Activity.HOLD, request, None, BOOKKEEPING))

    async def undo(self, path: str, reason: str) -> UndoReply:
        """Tried until it is done or the system refuses."""
        request = UndoRequest(run_id=self.run.run_id, path=path, reason=reason, actor=self._actor)
        return await _to_the_end(_regular(Activity.UNDO, request, UndoReply, RELEASING, ACTION_TIME))

    async def to_undo(self) -> Sequence[Undoable]:
        """From the store, which is the truth about effects."""
        return await _regular(Activity.TO_UNDO, self.run, list[Undoable], BOOKKEEPING)

    async def ask_change(self, ref: StepRef, question: str, changes: Sequence[Change], asked: Question) -> Decision:
        """The question goes to the store; the answer comes as an update."""
        request = AskRequest(
            ref=ref,
            kind="change",
            question=question,
            changes=tuple(changes),
            by=asked.by,
            quorum=asked.quorum,
            within=asked.within,
            reasons=asked.reasons,
            escalated=asked.escalated,
        )
        return await self._asked(request)

    async def ask_form(self, ref: StepRef, question: str, step: Ask) -> Decision:
        """As for changes, with a form."""
        return await self._asked(AskRequest(ref=ref, kind="form", question=question, form=step.form, by=step.by, within=step.within))

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """From the store."""
        reply = await _regular(Activity.EVENTS, EventsRequest(run=self.run, since=since), EventsReply, BOOKKEEPING)
        return reply.alerts

    async def nudged(self, seconds: float) -> None:
        """Until a signal says that an alert has come."""
        seen = self._mail.nudges
        try:
            await workflow.wait_condition(lambda: self._mail.nudges > seen, timeout=timedelta(seconds=seconds))
        except TimeoutError:
            return

    async def sleep(self, seconds: int) -> None:
        """A durable timer."""
        if seconds > 0:
            await workflow.sleep(timedelta(seconds=seconds))

    async def note(
        self, ref: StepRef, kind: str, state: StepState, *, result: Any = None, error: str | None = None, inputs: Any = None
    ) -> None:
        """One record, in a local activity."""
        record = StepRecord(ref=ref, kind=kind, state=state, result=result, error=error, inputs=inputs)
        await _local(Activity.RECORD, [record], None, BOOKKEEPING, timedelta(seconds=30))

    async def batch(
        self, ref: StepRef, step: ForEach, first: int, items: list[Any], scope: dict[str, Any], approved: dict[str, str]
    ) -> list[Any]:
        """A child run, so that this history grows by a few events a hundred items."""
        given = BatchInput(
            run=self._given, step=step, path=ref.path, first=first, items=items, scope=scope, approved=approved, first_seq=ref.seq + first
        )
        try:
            done: list[Any] = await workflow.execute_child_workflow(
                Workflow.BATCH, given, id=f"{workflow.info().workflow_id}/{ref.path}/{first}", result_type=list[Any],
                cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            )  # fmt: skip
        except ChildWorkflowError as error:
            raise Rejected(f"items {first} to {first + len(items) - 1}: {error.cause or error}") from error
        return done

    async def _asked(self, request: AskRequest) -> Decision:
        reply = await _regular(Activity.ASK, request, AskReply, BOOKKEEPING)
        self._mail.asked.add(reply.approval_id)
        left = (reply.expires_at - workflow.now()).total_seconds()
        try:
            await workflow.wait_condition(lambda: reply.approval_id in self._mail.decisions, timeout=timedelta(seconds=max(left, 0.001)))
        except TimeoutError:
            return await _regular(Activity.CLOSE_APPROVAL, reply.approval_id, Decision, BOOKKEEPING)
        return self._mail.decisions[reply.approval_id]


async def _quick(name: Activity, request: Any, result: type[R], step: Use) -> R:
    """Local first; an outage that lasts is waited for by the server and not by a worker."""
    retry = _retry(step.retry)
    if (step.timeout or 0) <= LOCAL_SECONDS:
        brief = RetryPolicy(maximum_attempts=1)
        try:
            return await _local(name, request, result, brief, timedelta(seconds=LOCAL_SECONDS))
        except Unavailable:
            if retry.maximum_attempts == 1:
                raise
    return await _regular(name, request, result, retry, ACTION_TIME)


async def _local(name: Activity, request: Any, result: type[R] | None, retry: RetryPolicy, limit: timedelta) -> R:
    with _translated():
        answer: R = await workflow.execute_local_activity(
            name, request, result_type=result, start_to_close_timeout=limit, retry_policy=retry
        )
        return answer


async def _regular(name: Activity, request: Any, result: type[R] | None, retry: RetryPolicy, limit: timedelta = timedelta(minutes=2)) -> R:
    with _translated():
        answer: R = await workflow.execute_activity(
            name,
            request,
            result_type=result,
            start_to_close_timeout=limit,
            heartbeat_timeout=HEARTBEAT if limit >= ACTION_TIME else None,
            retry_policy=retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return answer


async def _to_the_end(work: Awaitable[R]) -> R:
    """Awaited even when the run is cancelled: what was begun must be known before it is taken back."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _retry(retry: Retry | None) -> RetryPolicy:
    given = retry or Retry()
    return RetryPolicy(
        initial_interval=timedelta(seconds=max(given.wait, 1)), maximum_interval=timedelta(minutes=5), maximum_attempts=given.attempts
    )


@contextmanager
def _translated() -> Iterator[None]:
    """Temporal's errors become ours."""
    try:
        yield
    except (ActivityError, ApplicationError) as error:
        cause = error.cause if isinstance(error, ActivityError) else error
        if isinstance(cause, ApplicationError):
            raise _ERRORS.get(cause.type or "", Rejected)(cause.message) from error
        if isinstance(cause, BaseException) and type(cause).__name__ == "TimeoutError":
            raise Unavailable("it did not answer in time") from error
        if isinstance(cause, BaseException) and type(cause).__name__ == "CancelledError":
            raise asyncio.CancelledError from error
        raise Rejected(str(cause or error)) from error


_ERRORS: dict[str, type[TocsinError]] = {"Unavailable": Unavailable, "Rejected": Rejected, "Unknown": Unavailable, "Halted": Halted}
