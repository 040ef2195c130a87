"""Graphs of drafts, of published versions, and of what became of a run."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.authoring.checks import compile_draft, load_published_plan
from orchestrator.playbook.graph.mermaid import render_mermaid
from orchestrator.playbook.graph.model import Graph, graph_of
from orchestrator.playbook.graph.svg import render_svg
from orchestrator.runs.queries import get_run
from orchestrator.runtime import Runtime


class GraphFormat(StrEnum):
    """The formats in which a graph is rendered."""

    SVG = "svg"
    MERMAID = "mermaid"
    JSON = "json"


def render(graph: Graph, as_: GraphFormat) -> str:
    """Return the graph as text of a format."""
    match as_:
        case GraphFormat.SVG:
            return render_svg(graph)
        case GraphFormat.MERMAID:
            return render_mermaid(graph)
        case GraphFormat.JSON:
            return graph.model_dump_json(exclude_none=True) + "\n"


async def draft_graph(rt: Runtime | None, text: str, file: str) -> Graph:
    """Return the graph of a draft. Raises PlaybookInvalid."""
    return graph_of(await compile_draft(rt, text, file))


async def playbook_graph(rt: Runtime, name: str, version: int | None) -> Graph:
    """Return the graph of a version, by default of the one that takes alerts. Raises NotFound."""
    return graph_of(await load_published_plan(rt, name, version))


async def run_graph(rt: Runtime, run_id: str) -> Graph:
    """Return the graph of a run: its version's steps with their results. Raises NotFound."""
    run = await get_run(rt, run_id)
    return graph_of(
        await load_published_plan(rt, run.playbook, run.version), run.model_dump(mode="json")
    )
