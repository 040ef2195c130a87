"""The tasks of plans, which the sandbox carries out: compare and draw."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.domain.model import Frozen
from orchestrator.playbook.diff.model import DiffEntry, render_markdown
from orchestrator.playbook.diff.plans import diff_plans
from orchestrator.playbook.graph.mermaid import render_mermaid
from orchestrator.playbook.graph.model import graph_of
from orchestrator.playbook.graph.svg import render_svg
from orchestrator.playbook.plan import Plan
from orchestrator.sandbox.task import SandboxTask


class PlaybookComparison(Frozen):
    """How two playbooks differ in meaning, the most dangerous changes first.

    Danger 4: does more, or is asked less; 3: reaches further; 2: does it differently; 1: does
    less, or asks more; 0: words only.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "a": "c2-beacon-containment@3",
                "b": "c2-beacon-containment@4",
                "same": False,
                "changes": [
                    {
                        "danger": 4,
                        "kind": "effect",
                        "step": "isolate",
                        "sentence": "can now isolate hosts (edr.isolate_host, step isolate)",
                    }
                ],
                "markdown": "### `c2-beacon-containment@3` -> `c2-beacon-containment@4`\n...",
            }
        }
    )

    a: str
    b: str
    same: bool
    changes: tuple[DiffEntry, ...]
    markdown: Annotated[str, Field(description="For a comment on a pull request.")]


class PlanPair(Frozen):
    """Two plans to compare."""

    a: Plan
    b: Plan


def _compare(request: PlanPair) -> PlaybookComparison:
    diff = diff_plans(request.a, request.b)
    return PlaybookComparison(
        a=diff.a, b=diff.b, same=diff.same, changes=diff.changes, markdown=render_markdown(diff)
    )


COMPARE = SandboxTask(f"{__name__}:COMPARE", _compare, PlanPair, PlaybookComparison)


class GraphFormat(StrEnum):
    """The formats in which a graph is rendered."""

    SVG = "svg"
    MERMAID = "mermaid"
    JSON = "json"


class PlanDrawing(Frozen):
    """A plan to draw, with the results of a run of it."""

    plan: Plan
    run: dict[str, Any] | None
    format: GraphFormat


def _draw(request: PlanDrawing) -> str:
    graph = graph_of(request.plan, request.run)
    match request.format:
        case GraphFormat.SVG:
            return render_svg(graph)
        case GraphFormat.MERMAID:
            return render_mermaid(graph)
        case GraphFormat.JSON:
            return graph.model_dump_json(exclude_none=True) + "\n"


DRAW = SandboxTask(f"{__name__}:DRAW", _draw, PlanDrawing, str)
