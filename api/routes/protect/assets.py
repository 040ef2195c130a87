"""Routes of the asset inventory."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.configuration import Assets
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from api.protocol.content import JSON, check_encoding, media_type, not_accepted
from api.protocol.etags import IfMatch
from orchestrator.assets import inventory
from orchestrator.assets.csv_import import read_csv
from orchestrator.assets.inventory import EXAMPLE, Asset, ImportResult
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Invalid

router = APIRouter(tags=["assets"], route_class=GuardedRoute)

_CSV, _JSON = "text/csv", JSON
_REF = "#/components/schemas/{model}"
_MAX_ASSETS = 10_000
"""In one request; a larger inventory is imported in parts."""

AssetType = Annotated[str, Query(alias="type", min_length=1, max_length=64, examples=["host"])]
AssetValue = Annotated[
    str, Query(min_length=1, max_length=4096, description="In any notation.", examples=["dc-1"])
]


def _body() -> dict[str, Any]:
    schema = TypeAdapter(Asset).json_schema(ref_template=_REF)
    schema.pop("$defs", None)  # the types of observables are among the schemas already
    many = {"type": "array", "minItems": 1, "maxItems": _MAX_ASSETS, "items": schema}
    content = {
        _JSON: {"schema": many, "example": [EXAMPLE]},
        _CSV: {
            "schema": {"type": "string"},
            "example": "type,value,kind,critical,tags\n"
            "host,dc-1,domain_controller,true,tier-0;europe\n",
        },
    }
    return {
        "requestBody": {
            "required": True,
            "description": "JSON, or CSV whose first line names the columns.",
            "content": content,
        }
    }


@router.get(
    "/v1/assets",
    response_model=Page[Asset],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_assets(
    rt: Rt, wanted: Assets, cursor: Cursor = None, limit: Limit = 50
) -> Page[Asset]:
    """List the inventory by type and value."""
    found = await inventory.list_assets(rt, wanted)
    return page_of(found, lambda asset: f"{asset.type} {asset.value}", cursor, limit)


@router.post(
    "/v1/assets",
    response_model=ImportResult,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 415, 422),
    openapi_extra=_body(),
)
async def import_assets(rt: Rt, actor: Actor, request: Request) -> ImportResult:
    """Add or replace assets: all of these, or none."""
    rows = await _rows(request)
    if not 0 < len(rows) <= _MAX_ASSETS:
        raise Invalid(f"{len(rows)} assets; send 1 to {_MAX_ASSETS} per request")
    return ImportResult(imported=await inventory.import_numbered(rt, rows, actor=actor))


@router.get(
    "/v1/assets/{type}/{value:path}",
    response_model=Asset,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_asset(
    rt: Rt,
    type_: Annotated[str, Path(alias="type", min_length=1, max_length=64, examples=["host"])],
    value: Annotated[
        str, Path(min_length=1, max_length=4096, description="In any notation.", examples=["dc-1"])
    ],
) -> Asset:
    """Get an asset."""
    return await inventory.get_asset(rt, type_, value)


@router.delete(
    "/v1/assets",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def remove_asset(
    rt: Rt, actor: Actor, replaces: IfMatch, type_: AssetType, value: AssetValue
) -> Response:
    """Delete an asset."""
    await inventory.remove_asset(rt, type_, value, actor=actor, replaces=replaces)
    return Response(status_code=204)


async def _rows(request: Request) -> list[tuple[str, Any]]:
    kind = media_type(request.headers)
    check_encoding(request.headers)
    if kind == _CSV:
        try:
            return list(read_csv((await request.body()).decode("utf-8")))
        except UnicodeDecodeError:
            raise Invalid("the CSV is not UTF-8; save it as UTF-8 and send it again") from None
    if kind != _JSON:
        raise not_accepted(kind, _JSON, _CSV)
    given = await request.json()
    if not isinstance(given, list):
        raise Invalid("send a list of assets")
    return [(f"asset {number}", row) for number, row in enumerate(given, 1)]
