"""Routes of sources."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import SecretStr

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.configuration import Sources
from api.filters.parameters import SortByName
from api.paging import Cursor, Limit, Page, named_page
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.sources import AddSource, ChangeSource, RotateSecret, TryPayload
from orchestrator.domain.access import Permission
from orchestrator.intake import sources, trial
from orchestrator.intake.delivery import WebhookDelivery
from orchestrator.intake.source_views import SourceDetails, SourceView, SourceWithSecret
from orchestrator.intake.trial import PayloadTrial
from orchestrator.store.search.filters import NamedOrder

router = APIRouter(tags=["sources"], route_class=GuardedRoute)

SourceName = Annotated[str, Path(min_length=1, max_length=64, examples=["edge-ids"])]


@router.get(
    "/v1/sources",
    response_model=Page[SourceView],
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 422),
)
async def list_sources(
    rt: Rt,
    wanted: Sources,
    sort: SortByName = NamedOrder.NAME,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[SourceView]:
    """List sources, without their secrets."""
    found = await sources.list_sources(rt, wanted)
    return named_page(found, _name, lambda view: view.created_at, sort, cursor, limit)


@router.post(
    "/v1/sources",
    status_code=201,
    response_model=SourceWithSecret,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 409, 422),
)
async def add_source(rt: Rt, actor: Actor, body: AddSource) -> SourceWithSecret:
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
        senders=body.senders,
        actor=actor,
    )
    return _with_secret(view, secret)


@router.get(
    "/v1/sources/{source}",
    response_model=SourceDetails,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_source(rt: Rt, source: SourceName) -> SourceDetails:
    """Return a source with what it sent over the last seven days."""
    return await sources.get_source(rt, source)


@router.patch(
    "/v1/sources/{source}",
    response_model=SourceView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def change_source(
    rt: Rt, actor: Actor, replaces: IfMatch, source: SourceName, body: ChangeSource
) -> SourceView:
    """Change a source and keep its secret: its mapping, correlation, mode or senders."""
    changes = {field: getattr(body, field) for field in body.model_fields_set}
    return await sources.change_source(rt, source, actor=actor, replaces=replaces, **changes)


@router.post(
    "/v1/sources/{source}/rotate",
    response_model=SourceWithSecret,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def rotate_source_secret(
    rt: Rt, actor: Actor, replaces: IfMatch, source: SourceName, body: RotateSecret
) -> SourceWithSecret:
    """Give a source a new secret; the one that it has stays valid for the overlap."""
    view, secret = await sources.rotate_secret(
        rt,
        source,
        overlap=timedelta(seconds=body.overlap),
        secret=body.secret,
        actor=actor,
        replaces=replaces,
    )
    return _with_secret(view, secret)


@router.post(
    "/v1/sources/{source}/test",
    response_model=PayloadTrial,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 415, 422),
)
async def try_payload(rt: Rt, source: SourceName, body: TryPayload) -> PayloadTrial:
    """Return what would come out of a payload: alerts, and the playbooks that match.

    Nothing is stored, and nothing starts.
    """
    delivery = WebhookDelivery({"content-type": body.content_type}, body.body.encode())
    return await trial.try_payload(rt, source, delivery, body.mapping)


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


def _with_secret(view: SourceView, secret: SecretStr | None) -> SourceWithSecret:
    shown = secret.get_secret_value() if secret else None
    return SourceWithSecret(**view.model_dump(), secret=shown)


def _name(view: SourceView) -> str:
    return view.name
