"""Routes of connections."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.container import Rt, Temporal
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.configuration import Connections
from api.filters.parameters import SortByName
from api.paging import Cursor, Limit, Page, named_page
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.connections import SaveConnection
from orchestrator.connections import manage
from orchestrator.connections.manage import ConnectionCheck, ConnectionView
from orchestrator.domain.access import Permission
from orchestrator.store.search.filters import NamedOrder

router = APIRouter(tags=["connections"], route_class=GuardedRoute)

ConnectionName = Annotated[str, Path(pattern=rf"^{manage.NAME}$", examples=["firewall"])]


@router.get(
    "/v1/connections",
    response_model=Page[ConnectionView],
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 422),
)
async def list_connections(
    rt: Rt,
    wanted: Connections,
    sort: SortByName = NamedOrder.NAME,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ConnectionView]:
    """List connections, without their secrets."""
    found = await manage.list_connections(rt, wanted)
    return named_page(found, _name, lambda view: view.updated_at, sort, cursor, limit)


@router.get(
    "/v1/connections/{connection}",
    response_model=ConnectionView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_connection(rt: Rt, connection: ConnectionName) -> ConnectionView:
    """Return a connection, without its secrets."""
    return await manage.get_connection(rt, connection)


@router.put(
    "/v1/connections/{connection}",
    response_model=ConnectionView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422, 502),
)
async def save_connection(
    rt: Rt,
    client: Temporal,
    actor: Actor,
    replaces: IfMatch,
    connection: ConnectionName,
    body: SaveConnection,
) -> ConnectionView:
    """Save a connection. A worker tries its credentials first; if one fails, nothing is saved."""
    return await manage.save_connection(
        rt,
        connection,
        body.connector,
        body.settings,
        actor=actor,
        client=client,
        check=body.check,
        replaces=replaces,
    )


@router.post(
    "/v1/connections/{connection}/check",
    response_model=ConnectionCheck,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422, 502),
)
async def check_connection(rt: Rt, client: Temporal, connection: ConnectionName) -> ConnectionCheck:
    """Have a worker try the credential of a connection."""
    return await manage.check_connection(rt, client, connection)


@router.delete(
    "/v1/connections/{connection}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def remove_connection(
    rt: Rt, actor: Actor, replaces: IfMatch, connection: ConnectionName
) -> Response:
    """Delete a connection with its secrets."""
    await manage.remove_connection(rt, connection, actor=actor, replaces=replaces)
    return Response(status_code=204)


def _name(view: ConnectionView) -> str:
    return view.name
