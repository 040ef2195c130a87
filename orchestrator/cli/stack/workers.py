"""The workers of a stack: how many there are, their names, and the ports of their metrics."""

from __future__ import annotations

import os

from orchestrator.cli.stack import ports
from orchestrator.cli.stack.ports import Listening
from orchestrator.settings import Settings

MOST_ON_SQLITE = 4
"""The most workers that are started by default on SQLite, which has one writer at a time."""

_METRICS_OFFSET = 3  # of the first worker's port from the API's, where that is free


def worker_count(settings: Settings) -> int:
    """Return how many workers the stack has: as set, or by the cores of this machine."""
    if settings.workers is not None:
        return settings.workers
    return default_workers(_cores(), sqlite=settings.store_url.startswith("sqlite"))


def default_workers(cores: int, *, sqlite: bool) -> int:
    """Return half of the cores: a run costs the API, Temporal and the database as much again."""
    half = max(1, cores // 2)
    return min(half, MOST_ON_SQLITE) if sqlite else half


def choose_metrics_ports(settings: Settings, before: Listening | None) -> dict[str, int | None]:
    """Return a port for each worker by its name: the one that is set or was used, or a free one."""
    first = settings.worker_metrics_port or settings.port + _METRICS_OFFSET
    used = before.workers if before else {}
    chosen: dict[str, int | None] = {}
    for number in range(worker_count(settings)):
        name = "worker" if number == 0 else f"worker-{number + 1}"
        if number == 0 and settings.worker_metrics_port is not None:
            chosen[name] = settings.worker_metrics_port
            continue
        chosen[name] = ports.choose(
            settings.worker_metrics_host,
            used.get(name),
            first + number,
            taken=[port for port in chosen.values() if port is not None],
        )
    return chosen


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
