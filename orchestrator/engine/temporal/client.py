"""The Temporal client, whose payloads are encrypted before they leave the process."""

from __future__ import annotations

from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.runtime import Runtime as TemporalRuntime

from orchestrator.contracts.names import TASK_QUEUE
from orchestrator.engine.temporal.codec import data_converter
from orchestrator.engine.temporal.endpoint import open_client
from orchestrator.runtime import Runtime
from orchestrator.tracing.process import temporal_interceptors

RPC_TIMEOUT = timedelta(seconds=5)


async def polling_workers(client: Client, within: timedelta = RPC_TIMEOUT) -> tuple[str, ...]:
    """Return the workers that asked for workflow tasks within the last minutes: PID@HOST each.

    Raise RPCError where Temporal does not answer.
    """
    queue = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=TASK_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    found = await client.workflow_service.describe_task_queue(queue, timeout=within)
    return tuple(poller.identity for poller in found.pollers)


async def connect(rt: Runtime, *, telemetry: TemporalRuntime | None = None) -> Client:
    """Return a client of the configured Temporal. Raise as `open_client`.

    `telemetry`: where the metrics and logs of Temporal's SDK go.
    """
    return await open_client(
        rt.settings,
        data_converter=data_converter(rt.payloads),
        runtime=telemetry,
        interceptors=temporal_interceptors(),
    )
