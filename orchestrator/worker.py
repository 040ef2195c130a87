"""The composition root of the worker: workflows, activities, and the reconciler."""

from __future__ import annotations

import asyncio
import gc
import signal
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.runtime import Runtime as TemporalRuntime
from temporalio.service import RPCError
from temporalio.worker import Worker

from orchestrator.audit.sinks.configure import check_sinks
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.authoring.backtest.live_reads import LIVE_BACKTEST_HANDLER
from orchestrator.authoring.debug.activities import debug_activities
from orchestrator.authoring.debug.workflow import DebugSession
from orchestrator.connections.check import CHECK_CONNECTION_HANDLER, CHECK_SETTINGS_HANDLER
from orchestrator.containments.attend import Attendant
from orchestrator.containments.device_reads import CHECK_RELEASED_HANDLER, LIST_TAGGED_HANDLER
from orchestrator.contracts.names import TASK_QUEUE
from orchestrator.domain.errors import Conflict, TocsinError, Unavailable
from orchestrator.engine.activities.registry import activities
from orchestrator.engine.temporal.activity_calls import HEARTBEAT
from orchestrator.engine.temporal.client import connect
from orchestrator.engine.temporal.heartbeats import Heartbeats
from orchestrator.engine.temporal.log_context import LogContext
from orchestrator.engine.temporal.metrics import WorkerMetrics, serve_metrics
from orchestrator.engine.temporal.own_workflow import OwnWorkflowOnly
from orchestrator.engine.temporal.registry import WORKFLOWS, workflow_runner
from orchestrator.incidents.refused_rows import report_refused_rows
from orchestrator.incidents.sink_alarm import report_sinks
from orchestrator.incidents.trail_alarm import TrailAlarm
from orchestrator.installation.identity import load_identity, verify_keys
from orchestrator.installation.open import open_existing
from orchestrator.notifications.sender import send_until
from orchestrator.policy.stops.own_infrastructure import record_own_safely, record_own_until
from orchestrator.requests import RequestHandler
from orchestrator.runs.lost import CHECK_EVERY, recover_lost_runs, repeat_cancellations
from orchestrator.runs.reconcile import reconcile
from orchestrator.runs.stuck import watch_workflow_tasks
from orchestrator.runs.stuck_containments import watch_containment_tasks
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings

RECONCILE_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
MAX_WORKFLOWS = 200
"""Workflows kept in memory between their tasks: more cost memory, fewer cost replays."""
MAX_AT_ONCE = 50

REQUEST_HANDLERS: tuple[RequestHandler[Any, Any], ...] = (
    CHECK_CONNECTION_HANDLER,
    CHECK_SETTINGS_HANDLER,
    CHECK_RELEASED_HANDLER,
    LIST_TAGGED_HANDLER,
    LIVE_BACKTEST_HANDLER,
)
"""The requests of the API that this worker answers, one line each."""

_log = structlog.get_logger(__name__)


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish for at most `shutdown_seconds`.

    Wait for the database and Temporal until they answer. Raise as `open_existing`, Invalid for an
    audit sink that cannot be used, and Conflict for a database that was not prepared.
    """
    check_sinks(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    rt = await open_existing(settings)
    report_refused_rows(rt)
    telemetry = serve_metrics(settings)
    if telemetry is not None:
        metrics = WorkerMetrics(telemetry)
        rt.connections.observer = metrics.observe_call
        rt.store.on_events = metrics.count_events
    try:
        await _own_database(rt, stop)
        client = await _connected(rt, stop, telemetry)
        if client is not None:
            await work(rt, client, stop)
    finally:
        await rt.close()


async def work(rt: Runtime, client: Client, stop: asyncio.Event) -> None:
    """Run a worker, and what looks for work in the store, until `stop` is set."""
    await record_own_safely(rt)  # before the first change, which must not hit our own systems
    async with make_worker(rt, client):
        # What start-up made lives as long as the process: no collection has to look at it again.
        gc.collect()
        gc.freeze()
        _log.info("worker started", task_queue=TASK_QUEUE, temporal=rt.settings.temporal_address)
        tasks = [
            asyncio.create_task(_seal_until(rt, stop)),  # apart: a broken trail delays nothing
            asyncio.create_task(_stream_until(rt, stop)),
            asyncio.create_task(_reconcile_until(rt, client, stop)),
            asyncio.create_task(_recover_until(rt, client, stop)),
            asyncio.create_task(Attendant(rt, client).attend_until(stop)),
            asyncio.create_task(send_until(rt, stop)),  # apart: a mail server may be slow
            asyncio.create_task(record_own_until(rt, stop)),
        ]
        await stop.wait()
        await asyncio.gather(*tasks)


def make_worker(rt: Runtime, client: Client) -> Worker:
    """Return the worker, for `async with`."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[*WORKFLOWS, DebugSession],
        activities=[
            *activities(rt, REQUEST_HANDLERS),
            *debug_activities(rt, client),
        ],
        workflow_runner=workflow_runner(),
        interceptors=[LogContext(), OwnWorkflowOnly(rt), Heartbeats()],
        max_heartbeat_throttle_interval=HEARTBEAT / 3,
        max_cached_workflows=MAX_WORKFLOWS,
        # What a worker has taken is worked off in its order: more would delay a severe run.
        max_concurrent_workflow_tasks=MAX_AT_ONCE,
        max_concurrent_activities=MAX_AT_ONCE,
        max_concurrent_local_activities=MAX_AT_ONCE,
        graceful_shutdown_timeout=timedelta(seconds=rt.settings.shutdown_seconds / 2),
    )


async def _own_database(rt: Runtime, stop: asyncio.Event) -> None:
    """Return once the database answers and these keys are its own. Raise Invalid or Conflict."""
    logged = False
    while not stop.is_set():
        try:
            identity = await load_identity(rt.store)
        except (SQLAlchemyError, OSError) as error:
            if not logged:
                database, kind = rt.settings.database_name, type(error).__name__
                _log.warning("waiting for the database", database=database, error=kind)
            logged = True
            await _pause(stop, RECONNECT_SECONDS)
            continue
        if identity is None:
            raise Conflict(f"{rt.settings.database_name}: is not prepared; run `tocsin migrate`")
        verify_keys(rt, identity)
        return


async def _connected(
    rt: Runtime, stop: asyncio.Event, telemetry: TemporalRuntime | None
) -> Client | None:
    """Return the client as soon as Temporal answers; None if stopped before."""
    logged = False
    while not stop.is_set():
        try:
            return await connect(rt, telemetry=telemetry)
        except Unavailable as error:
            if not logged:
                _log.warning("waiting for Temporal", reason=str(error))
            logged = True
        await _pause(stop, RECONNECT_SECONDS)
    return None


async def _seal_until(rt: Runtime, stop: asyncio.Event) -> None:
    """Seal the audit trail in rounds. What is wrong with it is a task."""
    alarm = TrailAlarm(rt)
    while not stop.is_set():
        try:
            await alarm.seal()
        except (RuntimeError, TocsinError, SQLAlchemyError, OSError) as error:
            _log.warning("sealing failed", error=type(error).__name__, reason=str(error)[:300])
        await _pause(stop, RECONCILE_SECONDS)


async def _stream_until(rt: Runtime, stop: asyncio.Event) -> None:
    """Deliver the audit trail to its sinks in rounds, apart: a receiver may be slow."""
    stream = SinkStream(rt)
    while not stop.is_set():
        try:
            await stream.deliver()
            await report_sinks(rt)
        except (RuntimeError, TocsinError, SQLAlchemyError, OSError) as error:
            _log.warning("streaming the audit trail failed", error=type(error).__name__)
        await _pause(stop, RECONCILE_SECONDS)


async def _reconcile_until(rt: Runtime, client: Client, stop: asyncio.Event) -> None:
    """Reconcile in rounds. What fails in one round is done in a later one."""
    while not stop.is_set():
        try:
            await reconcile(rt, client)
        except (RPCError, RuntimeError, TocsinError, SQLAlchemyError, OSError) as error:
            _log.warning("reconcile failed", error=type(error).__name__)
        await _pause(stop, RECONCILE_SECONDS)


async def _recover_until(rt: Runtime, client: Client, stop: asyncio.Event) -> None:
    """Look for lost runs in rounds, apart from the reconciler: one must not delay the other."""
    while not stop.is_set():
        try:
            await recover_lost_runs(rt, client)
            await repeat_cancellations(rt, client)
            await watch_workflow_tasks(rt, client)
            await watch_containment_tasks(rt, client)
        except (RPCError, RuntimeError, TocsinError, SQLAlchemyError, OSError) as error:
            _log.warning("looking for lost runs failed", error=type(error).__name__)
        await _pause(stop, CHECK_EVERY.total_seconds())


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
