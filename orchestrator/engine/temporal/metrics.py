"""Metrics of a worker: its calls of connectors, and the audit events that it commits.

They are served with those of Temporal's SDK, on one address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address

import structlog
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from connectors.sdk.call import CallReport
from orchestrator.domain.errors import Rejected, Unavailable, Unknown
from orchestrator.engine.temporal.log_context import CORE_LOGS
from orchestrator.settings import Settings

_log = structlog.get_logger(__name__)
_SECONDS = "tocsin_connector_seconds"
_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0]
_MAX_CONNECTIONS = 200
_OUTCOMES = ((Unavailable, "unavailable"), (Rejected, "rejected"), (Unknown, "unknown"))


def serve_metrics(settings: Settings) -> Runtime | None:
    """Serve metrics until the process ends; None where no port is set, or it is not free.

    Without metrics, a worker still works: an attack does not wait for a port.
    """
    if settings.worker_metrics_port is None:
        return None
    host = ip_address(settings.worker_metrics_host)
    address = f"{f'[{host}]' if host.version == 6 else host}:{settings.worker_metrics_port}"
    served = PrometheusConfig(bind_address=address, histogram_bucket_overrides={_SECONDS: _BUCKETS})
    try:
        runtime = Runtime(telemetry=TelemetryConfig(logging=CORE_LOGS, metrics=served))
    except ValueError as error:
        _log.error("metrics are not served", address=address, reason=str(error))
        return None
    _log.info("metrics are served", address=address)
    return runtime


class WorkerMetrics:
    """The metrics of a worker. A label holds names from the configuration, and no other text."""

    def __init__(self, telemetry: Runtime) -> None:
        self._telemetry, meter = telemetry, telemetry.metric_meter  # serves as long as it lives
        self._connections: set[str] = set()
        self._calls = meter.create_counter(
            "tocsin_connector_calls_total", "Calls of connectors by their outcome"
        )
        self._retries = meter.create_counter(
            "tocsin_connector_retries_total", "Calls of connectors that repeat a failed one"
        )
        self._seconds = meter.create_histogram_float(_SECONDS, "Time that a connector took")
        self._events = meter.create_counter(
            "tocsin_audit_events_total", "Audit events that this process committed"
        )

    def observe_call(self, connection: str, connector: str, report: CallReport) -> None:
        """Count a call of a connector, with its outcome and time."""
        if connection not in self._connections and len(self._connections) >= _MAX_CONNECTIONS:
            connection = "other"
        self._connections.add(connection)
        labels = {
            "connection": connection,
            "connector": connector,
            "operation": report.operation,
        }
        outcome = {"action": report.action, "outcome": _outcome(report.error)}
        self._calls.add(1, {**labels, **outcome})
        self._seconds.record(report.seconds, labels)
        if report.attempt > 1:
            self._retries.add(1, labels)

    def count_events(self, kinds: Sequence[str]) -> None:
        """Count audit events by kind."""
        for kind, number in Counter(kinds).items():
            self._events.add(number, {"kind": kind})


def _outcome(error: BaseException | None) -> str:
    """Return `ok`, or what the error says that may be done; `failed` for any other."""
    if error is None:
        return "ok"
    return next((name for kind, name in _OUTCOMES if isinstance(error, kind)), "failed")
