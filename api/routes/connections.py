"""Connections: which system stands behind a name that playbooks use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.schemas.configuration import Checked, SaveConnection
from api.schemas.examples import CONNECTION, listed, shown
from orchestrator.connections import connections
from orchestrator.connections.connections import ConnectionView
from orchestrator.domain.access import Permission

router = APIRouter(tags=["connections"], route_class=Guarded)

ConnectionName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["firewall"])]


@router.get(
    "/v1/connections",
    response_model=Page[ConnectionView],
    dependencies=[requires(Permission.ADMIN)],
    responses=listed(CONNECTION) | documented(401, 403, 422),
)
async def list_connections(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """All connections by name; of their secrets only which there are."""
    return page_of(
        await connections.list_connections(rt), lambda connection: connection.name, cursor, limit
    )


@router.put(
    "/v1/connections/{name}",
    response_model=ConnectionView,
    dependencies=[requires(Permission.ADMIN)],
    responses=shown(CONNECTION) | documented(401, 403, 404, 422, 502),
)
async def save_connection(
    rt: Rt, actor: Actor, name: ConnectionName, body: SaveConnection
) -> object:
    """Bind a name, or bind it anew. The credential is tried first; when the system refuses it, nothing is saved."""
    return await connections.save_connection(
        rt, name, body.connector, body.settings, actor=actor, check=body.check
    )


@router.post(
    "/v1/connections/{name}/check",
    response_model=Checked,
    dependencies=[requires(Permission.ADMIN)],
    responses=documented(401, 403, 404, 422, 502),
)
async def check_connection(rt: Rt, name: ConnectionName) -> object:
    """Try the credential."""
    return Checked(name=name, found=await connections.check_connection(rt, name))


@router.delete(
    "/v1/connections/{name}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=documented(401, 403, 404, 422),
)
async def remove_connection(rt: Rt, actor: Actor, name: ConnectionName) -> Response:
    """Forget a connection with its secrets."""
    await connections.remove_connection(rt, name, actor=actor)
    return Response(status_code=204)
