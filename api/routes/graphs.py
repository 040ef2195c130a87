"""Pictures: how a playbook looks, and what became of a run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Guarded, requires
from api.problems import documented
from api.routes.playbooks import PlaybookName
from api.routes.runs import RunId
from api.schemas.configuration import PlaybookText
from orchestrator.authoring import graphs
from orchestrator.authoring.graphs import Format
from orchestrator.domain.access import Permission
from orchestrator.playbook.graph.model import Graph

router = APIRouter(tags=["pictures"], route_class=Guarded)

As = Annotated[
    Format,
    Query(
        alias="format",
        description="svg, mermaid, or the picture's parts as JSON.",
        examples=["svg"],
    ),
]
_TYPES = {
    Format.SVG: "image/svg+xml",
    Format.MERMAID: "text/plain; charset=utf-8",
    Format.JSON: "application/json",
}
# An SVG that is opened as a page of its own may neither load nor run anything.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture.",
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


@router.post(
    "/v1/playbooks/graph",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses=_SHOWN | documented(401, 403, 422),
)
async def draw_draft(rt: Rt, body: PlaybookText, as_: As = Format.SVG) -> Response:
    """How a playbook looks that need not be published."""
    return _answer(await graphs.draft_picture(rt, body.text, body.file), as_)


@router.get(
    "/v1/playbooks/{name}/{version}/graph",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses=_SHOWN | documented(401, 403, 404, 422),
)
async def draw_playbook(
    rt: Rt,
    name: PlaybookName,
    version: Annotated[int, Path(ge=1, le=2**31 - 1, examples=[3])],
    as_: As = Format.SVG,
) -> Response:
    """Its steps, their effects by colour, approvals, leases and what can be taken back."""
    return _answer(await graphs.playbook_picture(rt, name, version), as_)


@router.get(
    "/v1/runs/{run_id}/graph",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses=_SHOWN | documented(401, 403, 404, 422),
)
async def draw_run(rt: Rt, run_id: RunId, as_: As = Format.SVG) -> Response:
    """The same, with what happened."""
    return _answer(await graphs.run_picture(rt, run_id), as_)


def _answer(graph: Graph, as_: Format) -> Response:
    return Response(graphs.drawn(graph, as_), media_type=_TYPES[as_], headers=_HEADERS)
