"""Prometheus metrics: webhooks by source and outcome, runs by status, latency, and what waits."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from orchestrator.domain.run import RunStatus
from orchestrator.runtime import Runtime
from orchestrator.store.queries import counts

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MAX_SOURCES = 200
_METHODS = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"}
_FRESH_SECONDS = 1.0
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one process. No label holds text that a client sent."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._sources: set[str] = set()
        self._counted_at = float("-inf")
        self._alerts = Counter(
            "tocsin_alerts", "Alerts received", ["source", "outcome"], registry=self._registry
        )
        self._seconds = Histogram(
            "tocsin_request_seconds",
            "Time to answer",
            ["method", "route", "status"],
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._runs = Gauge(
            "tocsin_runs", "Runs in the database", ["status"], registry=self._registry
        )
        self._approvals = Gauge(
            "tocsin_approvals_pending", "Approvals without a decision", registry=self._registry
        )
        self._undispatched = Gauge(
            "tocsin_runs_undispatched",
            "Runs that Temporal does not have yet",
            registry=self._registry,
        )

    def count_webhook(self, source: str | None, outcome: str, number: int = 1) -> None:
        """Count a webhook request: `accepted`, `duplicate`, `ignored`, `refused` (not authentic).

        `unreadable` counts bodies, and single items of a batch. `source`: None unless it is
        configured.
        """
        if not number:
            return
        label = source or "unknown"
        if label not in self._sources and len(self._sources) >= _MAX_SOURCES:
            label = "other"
        self._sources.add(label)
        self._alerts.labels(label, outcome).inc(number)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record how long one request took. `route`: the path as it is declared."""
        self._seconds.labels(method if method in _METHODS else "other", route, str(status)).observe(
            seconds
        )

    async def text(self, rt: Runtime) -> bytes:
        """Return all metrics in Prometheus' text format.

        The database is read at most once a second.
        """
        if time.monotonic() - self._counted_at > _FRESH_SECONDS:
            self._counted_at = time.monotonic()
            await self._count(rt)
        return generate_latest(self._registry)

    def describe(self) -> str:
        """Return the names and meanings of all metrics, without values of the database."""
        return generate_latest(self._registry).decode()

    async def _count(self, rt: Runtime) -> None:
        async with rt.store.read() as session:
            found = await counts.all_counts(session)
        for status in RunStatus:
            self._runs.labels(status.value).set(found.runs.get(status.value, 0))
        self._approvals.set(found.pending_approvals)
        self._undispatched.set(found.undispatched_runs)
