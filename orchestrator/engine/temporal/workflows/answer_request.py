"""The workflow that carries one request of the API to a worker and returns the answer."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from orchestrator.contracts.names import Activity, Workflow
from orchestrator.contracts.requests import WorkerReply, WorkerRequest
from orchestrator.engine.temporal.activity_calls import ACTION_TIME, HEARTBEAT


@workflow.defn(name=Workflow.ANSWER_REQUEST)
class AnswerRequest:
    """Begins the request in time or never, and only once: the API has given up on a late answer."""

    @workflow.run
    async def run(self, request: WorkerRequest) -> WorkerReply:
        """Return the worker's answer. Fails when it was not begun within `start_within`."""
        left = request.start_within - (workflow.now() - workflow.info().start_time)
        if left.total_seconds() <= 0:
            raise ApplicationError("no worker was there in time", non_retryable=True)
        reply: WorkerReply = await workflow.execute_activity(
            Activity.HANDLE_REQUEST,
            request,
            result_type=WorkerReply,
            schedule_to_start_timeout=left,
            start_to_close_timeout=ACTION_TIME,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        return reply
