"""Assets: what we know of our own things."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page, page_of
from api.parts import Rt
from api.problems import documented
from api.schemas.configuration import Assets, Imported
from api.schemas.shown import ASSET, listed
from orchestrator.configuration import assets
from orchestrator.configuration.assets import Asset
from orchestrator.domain.access import Permission

router = APIRouter(tags=["assets"], route_class=Guarded)


@router.get(
    "/v1/assets", response_model=Page[Asset], dependencies=[requires(Permission.READ)], responses=listed(ASSET) | documented(401, 403, 422)
)
async def list_assets(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """The inventory, by type and value."""
    return page_of(await assets.list_assets(rt), lambda asset: f"{asset.type} {asset.value}", cursor, limit)


@router.post("/v1/assets", response_model=Imported, dependencies=[requires(Permission.ADMIN)], responses=documented(401, 403, 422))
async def import_assets(rt: Rt, actor: Actor, rows: Assets) -> object:
    """Add assets, or replace what is known of them: all of these, or none."""
    given = [asset.model_dump(mode="json") for asset in rows]
    return Imported(imported=await assets.import_assets(rt, given, actor=actor))
