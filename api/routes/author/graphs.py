"""Routes of graphs: of published playbooks, and of what became of a run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.problems import error_responses
from api.routes.author.playbooks import PlaybookName
from api.routes.respond.runs import RunId
from orchestrator.authoring import graphs
from orchestrator.authoring.graphs import GraphFormat
from orchestrator.domain.access import Permission

router = APIRouter(tags=["graphs"], route_class=GuardedRoute)

As = Annotated[
    GraphFormat,
    Query(
        alias="format",
        description="svg, mermaid, or the graph's parts as json.",
        examples=["svg"],
    ),
]
GRAPH_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The graph.",
        "content": {
            "image/svg+xml": {"schema": {"type": "string"}, "example": "<svg/>"},
            "text/plain": {"schema": {"type": "string"}, "example": "flowchart TD"},
            "application/json": {
                "schema": {"type": "object"},
                "example": {"title": "Block an address", "nodes": []},
            },
        },
    }
}
_TYPES = {
    GraphFormat.SVG: "image/svg+xml",
    GraphFormat.MERMAID: "text/plain; charset=utf-8",
    GraphFormat.JSON: "application/json",
}
# An SVG that is opened as a page of its own may neither load nor run anything.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@router.get(
    "/v1/playbooks/{playbook}/{version}/graph",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses=GRAPH_RESPONSES | error_responses(401, 403, 404, 422),
)
async def draw_playbook_graph(
    rt: Rt,
    playbook: PlaybookName,
    version: Annotated[int, Path(ge=1, le=2**31 - 1, examples=[3])],
    as_: As = GraphFormat.SVG,
) -> Response:
    """Draw a version: its steps, effects by color, approvals, leases and what can be undone."""
    return graph_response(await graphs.draw_playbook(rt, playbook, version, as_), as_)


@router.get(
    "/v1/runs/{run_id}/graph",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses=GRAPH_RESPONSES | error_responses(401, 403, 404, 422),
)
async def draw_run_graph(rt: Rt, run_id: RunId, as_: As = GraphFormat.SVG) -> Response:
    """Draw a run: the steps of its version with their results."""
    return graph_response(await graphs.draw_run(rt, run_id, as_), as_)


def graph_response(graph: str, as_: GraphFormat) -> Response:
    """Return a graph as a response in a format."""
    return Response(graph, media_type=_TYPES[as_], headers=_HEADERS)
