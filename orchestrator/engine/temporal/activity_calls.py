"""Activity calls: local while an activity is quick, scheduled by the server when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    FailureError,
    TimeoutType,
)
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

from orchestrator.contracts.change import (
    PlanRequest,
    StepCall,
    UndoReply,
    UndoRequest,
    VerifyRequest,
)
from orchestrator.contracts.names import Activity, ErrorType
from orchestrator.domain.errors import Halted, Rejected, TocsinError, Unavailable, Unknown
from orchestrator.engine.temporal.retries import retry_policy
from orchestrator.playbook.plan import Retry, Use

R = TypeVar("R")

LOCAL_SECONDS = 10
"""Time limit of a local activity. A step with a longer timeout is remote from the start."""
ACTION_TIME = timedelta(minutes=10)
STORE_TIME = timedelta(minutes=2)
HEARTBEAT = timedelta(seconds=15)
MOST_DEATHS = 10
"""How often an activity begins again whose worker died in each try: no try of the system."""
"""An activity without a heartbeat for so long moves to another worker. See `heartbeats.py`."""
STORE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10)
)
"""Retried until the store answers: nothing is done that is not recorded."""
RELEASE_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)
)
_FIRST_TRIES = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)


async def read_activity(
    name: Activity, request: StepCall | PlanRequest | VerifyRequest, result: type[R], step: Use
) -> R:
    """Call an activity that reads from a system. Raise Unavailable, Rejected, Halted.

    Local first. During an outage the server waits between attempts, so that no worker is occupied.
    """
    retry = step.retry or Retry()
    if (step.timeout or 0) > LOCAL_SECONDS:
        return await remote_activity(name, request, result, retry_policy(retry), ACTION_TIME)
    try:
        return await _local_activity(name, request, result, RetryPolicy(maximum_attempts=1))
    except Unavailable as error:
        if retry.attempts == 1:
            raise
        pause = error.retry_after or timedelta()
    await workflow.sleep(max(pause, timedelta(seconds=retry.wait)))
    remaining = retry.model_copy(update={"attempts": retry.attempts - 1})
    again = _after_first_try(request)
    return await remote_activity(name, again, result, retry_policy(remaining), ACTION_TIME)


def _after_first_try(
    request: StepCall | PlanRequest | VerifyRequest,
) -> StepCall | PlanRequest | VerifyRequest:
    if isinstance(request, StepCall):
        return request.model_copy(update={"earlier_tries": 1})
    return request.model_copy(update={"call": _after_first_try(request.call)})


async def store_activity(name: Activity, request: Any, result: type[R] | None) -> R:
    """Call an activity that only uses the store, and retry until it answers. Raise Rejected."""
    try:
        return await _local_activity(name, request, result, _FIRST_TRIES)
    except Unavailable:
        return await remote_activity(name, request, result, STORE_RETRY)


async def change_activity(name: Activity, request: Any, result: type[R], retry: RetryPolicy) -> R:
    """Call an activity that changes the world. Raise Unknown when its worker died over it."""
    return await remote_activity(name, request, result, retry, ACTION_TIME, without_reply=Unknown)


async def remote_activity(
    name: Activity,
    request: Any,
    result: type[R] | None,
    retry: RetryPolicy,
    limit: timedelta = STORE_TIME,
    without_reply: type[Unavailable | Unknown] = Unavailable,
) -> R:
    """Call an activity that the server schedules. `limit`: time of one attempt.

    A worker's death uses up an attempt of the server. Where the last one ended so, the activity
    begins again, unless it changes a system: then only reading tells what became of it.
    """
    deaths = 0
    with _translate_failures(without_reply):
        while True:
            try:
                answer: R = await workflow.execute_activity(
                    name,
                    request,
                    result_type=result,
                    start_to_close_timeout=limit,
                    heartbeat_timeout=HEARTBEAT,
                    retry_policy=retry,
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                )
            except FailureError as error:
                deaths += 1
                may_repeat = without_reply is Unavailable and deaths < MOST_DEATHS
                if not (may_repeat and _worker_died(error)):
                    raise
            else:
                return answer


async def undo_steps(
    requests: Sequence[UndoRequest], retry: RetryPolicy = RELEASE_RETRY
) -> list[UndoReply]:
    """Undo steps one by one. One that fails is `stuck`, and the others are undone all the same."""
    replies: list[UndoReply] = []
    for request in requests:
        try:
            reply = await remote_activity(Activity.UNDO, request, UndoReply, retry, ACTION_TIME)
        except TocsinError as error:
            reply = UndoReply(outcome="stuck", detail=str(error))
        replies.append(reply)
    return replies


async def shielded(work: Awaitable[R]) -> R:
    """Await the work even if the run is cancelled: its outcome must be known before rollback."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001, S110 - raised below, from the task itself
            pass
    if cancelled is not None and not task.cancelled():
        task.exception()  # marks it as retrieved
        raise cancelled
    return task.result()


async def _local_activity(
    name: Activity, request: Any, result: type[R] | None, retry: RetryPolicy
) -> R:
    with _translate_failures():
        answer: R = await workflow.execute_local_activity(
            name,
            request,
            result_type=result,
            start_to_close_timeout=timedelta(seconds=LOCAL_SECONDS),
            retry_policy=retry,
            # What it did before the cancellation is known to the caller, such as a lease.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return answer


def _worker_died(error: FailureError) -> bool:
    """Return whether no worker spoke of an activity any more."""
    cause = error.cause if isinstance(error, ActivityError) else error
    return isinstance(cause, TemporalTimeoutError) and cause.type is TimeoutType.HEARTBEAT


@contextmanager
def _translate_failures(without_reply: type[Unavailable | Unknown] = Unavailable) -> Iterator[None]:
    """Raise Tocsin's errors for Temporal's. `without_reply`: the error when no reply arrived.

    The failure of a local activity is the cause of an ActivityError when it happens, and stands
    alone when the history is replayed. Both must decide the same.
    """
    try:
        yield
    except FailureError as error:
        match error.cause if isinstance(error, ActivityError) else error:
            case ApplicationError(type=ErrorType.UNAVAILABLE) as cause:
                raise Unavailable(cause.message, cause.next_retry_delay) from error
            case ApplicationError(type=ErrorType.UNKNOWN) as cause:
                raise Unknown(cause.message) from error
            case ApplicationError(type=ErrorType.HALTED) as cause:
                raise Halted(cause.message) from error
            case ApplicationError() as cause:
                raise Rejected(cause.message) from error
            case TemporalTimeoutError():
                raise without_reply("it did not answer in time") from error
            case CancelledError():
                raise asyncio.CancelledError from error
            case cause:
                raise Rejected(str(cause or error)) from error
