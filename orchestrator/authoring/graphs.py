"""Graphs of drafts, of published versions, and of what became of a run."""

from __future__ import annotations

from typing import Any

from orchestrator.authoring.checks import load_published_plan
from orchestrator.authoring.plan_tasks import DRAW, GraphFormat, PlanDrawing
from orchestrator.playbook.plan import Plan
from orchestrator.registry.analysis import compile_draft
from orchestrator.runs.queries import get_run
from orchestrator.runtime import Runtime
from orchestrator.sandbox.task import InProcess

__all__ = ["GraphFormat", "draw_draft", "draw_playbook", "draw_run"]


async def draw_draft(rt: Runtime | None, text: str, file: str, as_: GraphFormat) -> str:
    """Return the graph of a draft, as text of a format. Raises PlaybookInvalid."""
    return await _drawn(rt, (await compile_draft(rt, text, file)).plan, as_)


async def draw_playbook(rt: Runtime, name: str, version: int | None, as_: GraphFormat) -> str:
    """Return the graph of a version, by default of the one that takes alerts. Raises NotFound."""
    return await _drawn(rt, await load_published_plan(rt, name, version), as_)


async def draw_run(rt: Runtime, run_id: str, as_: GraphFormat) -> str:
    """Return the graph of a run: its version's steps with their results. Raises NotFound."""
    run = await get_run(rt, run_id)
    plan = await load_published_plan(rt, run.playbook, run.version)
    return await _drawn(rt, plan, as_, run.model_dump(mode="json"))


async def _drawn(
    rt: Runtime | None, plan: Plan, as_: GraphFormat, run: dict[str, Any] | None = None
) -> str:
    request = PlanDrawing(plan=plan, run=run, format=as_)
    return await (InProcess() if rt is None else rt.sandbox).run(DRAW, request)
