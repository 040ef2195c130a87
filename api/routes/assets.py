"""Assets: what we know of our own things."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.schemas.configuration import MOST_ASSETS, Imported
from api.schemas.examples import ASSET, listed
from orchestrator.assets import inventory
from orchestrator.assets.csv_import import read_csv
from orchestrator.assets.inventory import Asset
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Invalid

router = APIRouter(tags=["assets"], route_class=Guarded)

_CSV, _JSON = "text/csv", "application/json"
_REF = "#/components/schemas/{model}"

AssetType = Annotated[str, Query(alias="type", min_length=1, max_length=64, examples=["host"])]
AssetValue = Annotated[
    str, Query(min_length=1, max_length=4096, description="In any spelling.", examples=["dc-1"])
]


def _body() -> dict[str, Any]:
    schema = TypeAdapter(Asset).json_schema(ref_template=_REF)
    schema.pop("$defs", None)  # the types of observables stand among the shown schemas already
    many = {"type": "array", "minItems": 1, "maxItems": MOST_ASSETS, "items": schema}
    content = {
        _JSON: {"schema": many, "example": [ASSET]},
        _CSV: {
            "schema": {"type": "string"},
            "example": "type,value,kind,critical,tags\nhost,dc-1,domain_controller,true,tier-0;europe\n",
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
    responses=listed(ASSET) | documented(401, 403, 422),
)
async def list_assets(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """The inventory, by type and value."""
    return page_of(
        await inventory.list_assets(rt), lambda asset: f"{asset.type} {asset.value}", cursor, limit
    )


@router.post(
    "/v1/assets",
    response_model=Imported,
    dependencies=[requires(Permission.ADMIN)],
    responses=documented(401, 403, 415, 422),
    openapi_extra=_body(),
)
async def import_assets(rt: Rt, actor: Actor, request: Request) -> object:
    """Add assets, or replace what is known of them: all of these, or none."""
    rows = await _rows(request)
    if not 0 < len(rows) <= MOST_ASSETS:
        raise Invalid(f"there are {len(rows)} assets; give 1 to {MOST_ASSETS} at a time")
    return Imported(imported=await inventory.import_numbered(rt, rows, actor=actor))


@router.delete(
    "/v1/assets",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=documented(401, 403, 404, 422),
)
async def remove_asset(rt: Rt, actor: Actor, type_: AssetType, value: AssetValue) -> Response:
    """Forget one: it is unknown from now on."""
    await inventory.remove_asset(rt, type_, value, actor=actor)
    return Response(status_code=204)


async def _rows(request: Request) -> list[tuple[str, Any]]:
    kind = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if kind == _CSV:
        try:
            return list(read_csv((await request.body()).decode("utf-8")))
        except UnicodeDecodeError:
            raise Invalid("the CSV is not UTF-8; save it as UTF-8 and send it again") from None
    if kind != _JSON:
        raise HTTPException(415, f"send {_JSON} or {_CSV}")
    given = await request.json()
    if not isinstance(given, list):
        raise Invalid("send a list of assets")
    return [(f"asset {number}", row) for number, row in enumerate(given, 1)]
