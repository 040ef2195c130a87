"""The clocks of the stage: the time of the server that skips it, or real time that runs faster."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import temporalio.client
import temporalio.worker
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import activity
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)

from orchestrator.domain.clock import utc_now

SPEED = 14_400
"""Virtual seconds in a real one, on the real server: an hour takes a quarter of a second."""
_SHORTEST = timedelta(milliseconds=1)
"""The server's resolution."""


class VirtualClock(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Real time, plus what the server has skipped until the last activity.

    Also an interceptor of the client, because a worker takes over those of its client.
    """

    def __init__(self) -> None:
        self._ahead = timedelta()
        self.busy = 0  # activities that run now
        self.begun = 0  # activities so far

    def now(self) -> datetime:
        """Return the time of the store."""
        return utc_now() + self._ahead

    def catch_up(self, moment: datetime) -> None:
        """Move to the server's time. Never moves back."""
        self._ahead = max(self._ahead, moment - utc_now())

    def real_pause(self, by: timedelta) -> timedelta:
        """Return how long the server has to wait so that this time passes."""
        return by

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _ActivityClock(next, self)


class FastClock(VirtualClock):
    """Real time that runs `SPEED` times as fast, for the store and for workflows."""

    def __init__(self) -> None:
        super().__init__()
        self._began = utc_now()

    def now(self) -> datetime:
        """Return the time of the store."""
        return self.at(utc_now())

    def at(self, real: datetime) -> datetime:
        """Return the virtual time at a moment."""
        return self._began + (real - self._began) * SPEED

    def catch_up(self, moment: datetime) -> None:
        """Do nothing: the server's time is real."""

    def real_pause(self, by: timedelta) -> timedelta:
        """Return how long the server has to wait so that this time passes."""
        return max(by / SPEED, _SHORTEST)

    async def pass_time(self, by: timedelta) -> None:
        """Wait until this virtual time has passed."""
        end = self.now() + by
        while (left := end - self.now()) > timedelta():
            await asyncio.sleep(left.total_seconds() / SPEED)

    def plugin(self) -> SimplePlugin:
        """Return what lets the workflows of a worker live in this time."""
        return SimplePlugin("fast-time", workflow_runner=lambda inner: _FastRunner(inner, self))


class _FastRunner(WorkflowRunner):
    """Runs workflows as the inner runner does, in virtual time; the server only sees real time."""

    def __init__(self, inner: WorkflowRunner | None, clock: FastClock) -> None:
        assert inner is not None
        self._inner, self._clock = inner, clock

    def prepare_workflow(self, defn: Any) -> None:
        self._inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _FastInstance(self._inner.create_instance(det), self._clock)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        self._inner.set_worker_level_failure_exception_types(types)


class _FastInstance(WorkflowInstance):
    def __init__(self, inner: WorkflowInstance, clock: FastClock) -> None:
        self._inner, self._clock = inner, clock

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if act.timestamp.seconds:  # an eviction has none
            self._translate(act.timestamp)
        for job in act.jobs:
            if job.HasField("initialize_workflow"):
                self._translate(job.initialize_workflow.start_time)
        done = self._inner.activate(act)
        for command in done.successful.commands:
            _shorten(self._clock, command.start_timer, "start_to_fire_timeout")
            for activity_command in (command.schedule_activity, command.schedule_local_activity):
                policy = activity_command.retry_policy
                _shorten(self._clock, policy, "initial_interval", "maximum_interval")
        return done

    def _translate(self, moment: Timestamp) -> None:
        moment.FromDatetime(self._clock.at(moment.ToDatetime(tzinfo=UTC)))

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        return self._inner.get_thread_id()


def _shorten(clock: FastClock, message: Any, *fields: str) -> None:
    """Turn durations of virtual time into real ones; those that are not set stay so."""
    for field in fields:
        if message.HasField(field):
            given: Duration = getattr(message, field)
            given.FromTimedelta(clock.real_pause(given.ToTimedelta()))


class _ActivityClock(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, clock: VirtualClock) -> None:
        super().__init__(next)
        self._clock = clock

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if not activity.info().is_local:
            self._clock.catch_up(activity.info().started_time)
        self._clock.busy += 1
        self._clock.begun += 1
        try:
            return await super().execute_activity(input)
        except ApplicationError as error:
            if error.next_retry_delay is not None and not activity.info().is_local:
                error._next_retry_delay = self._clock.real_pause(error.next_retry_delay)
            raise
        finally:
            self._clock.busy -= 1
