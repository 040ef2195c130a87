"""The composition root of the worker: carries out workflows and activities, and sweeps up what outages left undone."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from orchestrator.audit.sealer import seal_pending
from orchestrator.contracts.messages import TASK_QUEUE
from orchestrator.domain.errors import TocsinError, Unavailable
from orchestrator.engine.activities.registry import activities
from orchestrator.engine.temporal.activity_calls import HEARTBEAT
from orchestrator.engine.temporal.client import connect
from orchestrator.engine.temporal.heartbeats import Heartbeats
from orchestrator.engine.temporal.registry import PASSED_THROUGH, WORKFLOWS
from orchestrator.notifications.sender import send_until
from orchestrator.policy.stops.own_infrastructure import note_safely, note_until
from orchestrator.runs.reconcile import sweep
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings

SWEEP_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
MAX_WORKFLOWS = 200
"""Workflows kept in memory between their tasks; more costs memory, fewer costs replays."""
MAX_AT_ONCE = 50

_log = structlog.get_logger(__name__)


async def run_worker(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, then finishes what it is at, for at most `shutdown_seconds`. Waits for Temporal to come up."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    rt = open_runtime(settings)
    try:
        client = await _connected(rt, stop)
        if client is not None:
            await work(rt, client, stop)
    finally:
        await rt.close()


async def work(rt: Runtime, client: Client, stop: asyncio.Event) -> None:
    """A worker and a sweeper on this runtime until `stop` is set."""
    await note_safely(rt)  # before the first change: what we stand on is protected from it
    async with make_worker(rt, client):
        _log.info("the worker works", task_queue=TASK_QUEUE, temporal=rt.settings.temporal_address)
        sweeping = asyncio.create_task(_sweep_until(rt, client, stop))
        sending = asyncio.create_task(
            send_until(rt, stop)
        )  # beside it: a slow mail server holds up nothing else
        noting = asyncio.create_task(note_until(rt, stop))
        await stop.wait()
        await asyncio.gather(sweeping, sending, noting)


def make_worker(rt: Runtime, client: Client) -> Worker:
    """The worker itself, for `async with`."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=list(WORKFLOWS),
        activities=activities(rt, client),
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
        ),
        interceptors=[Heartbeats()],
        max_heartbeat_throttle_interval=HEARTBEAT / 3,
        max_cached_workflows=MAX_WORKFLOWS,
        max_concurrent_activities=MAX_AT_ONCE,
        max_concurrent_local_activities=MAX_AT_ONCE,
        graceful_shutdown_timeout=timedelta(seconds=rt.settings.shutdown_seconds / 2),
    )


async def _connected(rt: Runtime, stop: asyncio.Event) -> Client | None:
    """The client, as soon as Temporal answers; None when told to stop before."""
    said = False
    while not stop.is_set():
        try:
            return await connect(rt, metrics_port=rt.settings.worker_metrics_port)
        except Unavailable as error:
            if not said:
                _log.warning("waiting for Temporal", reason=str(error))
            said = True
        await _pause(stop, RECONNECT_SECONDS)
    return None


async def _sweep_until(rt: Runtime, client: Client, stop: asyncio.Event) -> None:
    """Outages are waited out: whatever one round could not do, a later one does."""
    while not stop.is_set():
        try:
            await seal_pending(rt)
            await sweep(rt, client)
        except (RPCError, RuntimeError, TocsinError, SQLAlchemyError, OSError) as error:
            _log.warning("sweeping failed, and is tried again", error=type(error).__name__)
        await _pause(stop, SWEEP_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
