"""Fields of log lines in a worker: which activity of which workflow and run wrote them."""

from __future__ import annotations

import logging
import re
from typing import Any

import structlog
from temporalio import activity
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_RUN_ID = re.compile(r"run_[0-9a-f]{32}")

CORE_LOGS = LoggingConfig(
    filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
    forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
)
"""Lets the lines of Temporal's SDK take the form of all others."""


def forward_core_logs() -> None:
    """Log what Temporal's SDK writes like the rest; call it once, before the first client."""
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=CORE_LOGS)), error_if_already_set=False
    )


class LogContext(Interceptor):
    """Gives each line that an activity logs the ids of the activity, its workflow and its run."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  temporalio's name
        """Return the interceptor of one activity."""
        return _Context(next)


class _Context(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  temporalio's name
        with structlog.contextvars.bound_contextvars(**log_fields(activity.info())):
            return await super().execute_activity(input)


def log_fields(info: activity.Info) -> dict[str, object]:
    """Return the ids that a log line of an activity has."""
    fields: dict[str, object] = {
        "activity": info.activity_type,
        "workflow_id": info.workflow_id,
        "attempt": info.attempt,
    }
    if run := _RUN_ID.search(info.workflow_id or ""):
        fields["run_id"] = run.group()
    return fields
