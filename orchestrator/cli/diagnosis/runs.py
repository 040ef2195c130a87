"""Checks of the runs and containments: whether each of their workflows moves."""

from __future__ import annotations

from orchestrator.cli.diagnosis.model import Diagnosis, good, wrong
from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.incidents.tasks import list_tasks
from orchestrator.runtime import Runtime
from orchestrator.store.search.filters import TaskFilter


async def examine_runs(rt: Runtime) -> list[Diagnosis]:
    """Return whether a run is stuck or lost, as the reconciler of the worker finds."""
    found = []
    for kind in (TaskKind.STUCK_RUN, TaskKind.STUCK_CONTAINMENT, TaskKind.LOST_RUN):
        tasks = await list_tasks(rt, TaskFilter(state=(TaskState.OPEN,), kind=kind))
        found += [wrong("runs", f"{task.subject}: {task.summary}") for task in tasks.items]
    return found or [good("runs", "no run is stuck")]
