"""Prometheus metrics: webhooks by source and outcome, runs by status, latency, and what waits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from orchestrator.audit.state import TrailState
from orchestrator.crypto.server_certificate import ServerCertificate
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.incident import TaskKind
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

    def __init__(self, certificate: ServerCertificate | None = None) -> None:
        self._certificate = certificate
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
            "tocsin_runs", "Runs that have not ended", ["status"], registry=self._registry
        )
        self._approvals = Gauge(
            "tocsin_approvals_pending", "Approvals without a decision", registry=self._registry
        )
        self._stuck_runs = Gauge(
            "tocsin_runs_stuck",
            "Runs whose workflow task fails again and again",
            registry=self._registry,
        )
        self._stuck_containments = Gauge(
            "tocsin_containments_stuck",
            "Containments whose workflow task fails again and again",
            registry=self._registry,
        )
        self._undispatched = Gauge(
            "tocsin_runs_undispatched",
            "Runs that Temporal does not have yet",
            registry=self._registry,
        )

        self._events = Counter(
            "tocsin_audit_events",
            "Audit events that this process committed",
            ["kind"],
            registry=self._registry,
        )
        self._containments = self._gauge("tocsin_containments", "Containments by state", ["state"])
        self._overdue = self._gauge(
            "tocsin_releases_overdue", "Leases whose end has come, and whose release has not begun"
        )
        self._oldest_overdue = self._gauge(
            "tocsin_release_oldest_overdue_seconds", "How long the first of them has been due"
        )
        self._tasks = self._gauge("tocsin_tasks_open", "Open tasks by kind", ["kind"])
        self._notifications = self._gauge(
            "tocsin_notifications", "Notifications that wait or failed", ["state"]
        )
        self._oldest_approval = self._gauge(
            "tocsin_approval_oldest_seconds", "Age of the oldest approval without a decision"
        )
        self._unsealed = self._gauge(
            "tocsin_audit_unsealed_seconds", "Age of the oldest audit event that is not sealed"
        )
        self._audit_intact = self._gauge(
            "tocsin_audit_intact",
            "1 where the audit trail is what was sealed, 0 where it is broken",
        )
        self._quarantined = self._gauge(
            "tocsin_audit_quarantined",
            "Audit events written past Tocsin, until their task is closed",
        )
        self._certificate_ends = self._gauge(
            "tocsin_tls_certificate_seconds_left",
            "Time until the certificate of the API ends",
            ["file"],
        )

    def _gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(name, meaning, labels, registry=self._registry)

    def count_webhook(self, source: str | None, outcome: str, number: int = 1) -> None:
        """Count alerts: `accepted`, `duplicate`, or `unreadable` items of a batch.

        A request without an alert counts as one: `ignored`, `unreadable`, `refused` (not
        authentic), `busy` (answered 429). `source`: None unless it is configured.
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
        self._seconds.labels(known_method(method), route, str(status)).observe(seconds)

    def count_events(self, kinds: Sequence[str]) -> None:
        """Count audit events by kind."""
        for kind in kinds:
            self._events.labels(kind).inc()

    async def text(self, rt: Runtime, trail: TrailState) -> bytes:
        """Return all metrics in Prometheus' text format.

        The database is read at most once a second.
        """
        if time.monotonic() - self._counted_at > _FRESH_SECONDS:
            self._counted_at = time.monotonic()
            await self._count(rt)
        self._audit_intact.set(trail.is_intact)
        self._quarantined.set(trail.quarantine.total)
        if self._certificate is not None:
            self._certificate.context()  # looks for a renewal, also while there is no connection
            left = (self._certificate.expires - rt.clock()).total_seconds()
            self._certificate_ends.labels(str(self._certificate.certificate)).set(left)
        return generate_latest(self._registry)

    def describe(self) -> str:
        """Return the names and meanings of all metrics, without values of the database."""
        return generate_latest(self._registry).decode()

    async def _count(self, rt: Runtime) -> None:
        now = rt.clock()
        async with rt.store.read() as session:
            found = await counts.all_counts(session, now)
        for status in (each for each in RunStatus if not each.over):
            self._runs.labels(status.value).set(found.runs.get(status.value, 0))
        self._approvals.set(found.pending_approvals)
        self._undispatched.set(found.undispatched_runs)
        self._stuck_runs.set(found.tasks.get(TaskKind.STUCK_RUN.value, 0))
        self._stuck_containments.set(found.tasks.get(TaskKind.STUCK_CONTAINMENT.value, 0))
        for gauge, states, counted in (
            (self._containments, ContainmentState, found.containments),
            (self._tasks, TaskKind, found.tasks),
            (self._notifications, counts.UNSENT, found.notifications),
        ):
            for state in states:
                gauge.labels(state.value).set(counted.get(state.value, 0))
        self._overdue.set(found.overdue_leases)
        self._oldest_overdue.set(_age(found.oldest_overdue, now))
        self._oldest_approval.set(_age(found.oldest_approval, now))
        self._unsealed.set(_age(found.oldest_unsealed, now))


def known_method(method: str) -> str:
    """Return an HTTP method, and `other` for what a client made up."""
    return method if method in _METHODS else "other"


def _age(moment: datetime | None, now: datetime) -> float:
    """Return the seconds since then; 0 for None."""
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
