"""How is an activity called? Locally while it is quick, by the server when it is not; and what was begun is always seen to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.exceptions import TimeoutError as TookTooLong

from orchestrator.contracts.messages import Activity, UndoReply, UndoRequest
from orchestrator.domain.errors import Halted, Rejected, TocsinError, Unavailable, Unknown
from orchestrator.playbook.plan import Retry, Use

R = TypeVar("R")

LOCAL_SECONDS = 10
"""What a read may take as a local activity; a step with a longer timeout is a regular one from the start."""
ACTION_TIME = timedelta(minutes=10)
HEARTBEAT = timedelta(seconds=15)
"""After it without a sign of life, an activity is given to another worker; activities/heartbeats.py gives the signs."""
BOOKKEEPING = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10)
)
"""The store being away is no reason to give up: nothing is done that is not written down."""
RELEASING = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)
)
_FIRST_TRIES = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)


async def quick(name: Activity, request: Any, result: type[R], step: Use) -> R:
    """Local first; an outage that lasts is waited for by the server and not by a worker. Raises Unavailable, Rejected, Halted."""
    retry = step.retry or Retry()
    if (step.timeout or 0) > LOCAL_SECONDS:
        return await regular(name, request, result, retry_of(retry), ACTION_TIME)
    try:
        return await _local(name, request, result, RetryPolicy(maximum_attempts=1))
    except Unavailable as error:
        if retry.attempts == 1:
            raise
        pause = error.retry_after or timedelta()
    await workflow.sleep(max(pause, timedelta(seconds=retry.wait)))
    return await regular(
        name,
        request,
        result,
        retry_of(retry.model_copy(update={"attempts": retry.attempts - 1})),
        ACTION_TIME,
    )


async def kept(name: Activity, request: Any, result: type[R] | None) -> R:
    """A call to our own store: local while it answers, then tried by the server until it does. Raises Rejected."""
    try:
        return await _local(name, request, result, _FIRST_TRIES)
    except Unavailable:
        return await regular(name, request, result, BOOKKEEPING)


async def changing(name: Activity, request: Any, result: type[R], retry: RetryPolicy) -> R:
    """A call that changes the world, by the server. Without an answer, its worker died over it: raises Unknown."""
    return await regular(name, request, result, retry, ACTION_TIME, lost=Unknown)


async def regular(
    name: Activity,
    request: Any,
    result: type[R] | None,
    retry: RetryPolicy,
    limit: timedelta = timedelta(minutes=2),
    lost: type[Unavailable | Unknown] = Unavailable,
) -> R:
    """By the server. `limit`: of one try."""
    with _translated(lost):
        answer: R = await workflow.execute_activity(
            name,
            request,
            result_type=result,
            start_to_close_timeout=limit,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return answer


async def take_back(requests: Sequence[UndoRequest]) -> list[UndoReply]:
    """One after the other; what cannot be taken back keeps no other from it."""
    replies: list[UndoReply] = []
    for request in requests:
        try:
            replies.append(await regular(Activity.UNDO, request, UndoReply, RELEASING, ACTION_TIME))
        except TocsinError as error:
            replies.append(UndoReply(outcome="stuck", detail=str(error)))
    return replies


async def to_the_end(work: Awaitable[R]) -> R:
    """Awaited even when the run is cancelled, however often: what was begun must be known before it is taken back."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001, S110 - it is raised below, from the task itself
            pass
    if cancelled is not None and not task.cancelled():
        task.exception()  # it has been seen
        raise cancelled
    return task.result()


def retry_of(retry: Retry | None) -> RetryPolicy:
    """As the author wrote it, with exponential pauses of at most five minutes."""
    given = retry or Retry()
    return RetryPolicy(
        initial_interval=timedelta(seconds=max(given.wait, 1)),
        maximum_interval=timedelta(minutes=5),
        maximum_attempts=given.attempts,
    )


async def _local(name: Activity, request: Any, result: type[R] | None, retry: RetryPolicy) -> R:
    with _translated():
        answer: R = await workflow.execute_local_activity(
            name,
            request,
            result_type=result,
            start_to_close_timeout=timedelta(seconds=LOCAL_SECONDS),
            retry_policy=retry,
        )
        return answer


@contextmanager
def _translated(lost: type[Unavailable | Unknown] = Unavailable) -> Iterator[None]:
    """Temporal's errors become ours; `lost`: what it means that no answer came."""
    try:
        yield
    except (ActivityError, ApplicationError) as error:
        match error.cause if isinstance(error, ActivityError) else error:
            case ApplicationError(type="Unavailable") as cause:
                raise Unavailable(cause.message, cause.next_retry_delay) from error
            case ApplicationError(type="Unknown") as cause:
                raise Unknown(cause.message) from error
            case ApplicationError(type="Halted") as cause:
                raise Halted(cause.message) from error
            case ApplicationError() as cause:
                raise Rejected(cause.message) from error
            case TookTooLong():
                raise lost("it did not answer in time") from error
            case CancelledError():
                raise asyncio.CancelledError from error
            case cause:
                raise Rejected(str(cause or error)) from error
