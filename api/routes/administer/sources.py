"""Routes of sources."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.sources import AddSource
from orchestrator.domain.access import Permission
from orchestrator.intake import sources
from orchestrator.intake.sources import AddedSource, SourceView

router = APIRouter(tags=["sources"], route_class=GuardedRoute)

SourceName = Annotated[str, Path(min_length=1, max_length=64, examples=["edge-ids"])]


@router.get(
    "/v1/sources",
    response_model=Page[SourceView],
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 422),
)
async def list_sources(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> Page[SourceView]:
    """List sources by name, without their secrets."""
    return page_of(await sources.list_sources(rt), lambda source: source.name, cursor, limit)


@router.post(
    "/v1/sources",
    status_code=201,
    response_model=AddedSource,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 409, 422),
)
async def add_source(rt: Rt, actor: Actor, body: AddSource) -> AddedSource:
    """Add a source, which may then send alerts to /v1/webhooks/{source}."""
    view, secret = await sources.add_source(
        rt,
        body.name,
        body.product,
        body.scheme,
        secret=body.secret,
        options=body.options.model_dump(),
        mapping=body.mapping,
        correlate_by=body.correlate_by,
        correlate_within=timedelta(seconds=body.correlate_within),
        mode=body.mode,
        actor=actor,
    )
    return AddedSource(**view.model_dump(), secret=secret.get_secret_value() if secret else None)


@router.delete(
    "/v1/sources/{source}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def remove_source(rt: Rt, actor: Actor, replaces: IfMatch, source: SourceName) -> Response:
    """Remove a source. Its alerts stay."""
    await sources.remove_source(rt, source, actor=actor, replaces=replaces)
    return Response(status_code=204)
