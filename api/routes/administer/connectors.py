"""Routes of connectors: what there is code for, and what it takes and does."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.dependencies import GuardedRoute, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from orchestrator.connections.connectors import (
    ConnectorDetails,
    ConnectorSummary,
    describe_connector,
)
from orchestrator.connections.connectors import list_connectors as all_connectors
from orchestrator.domain.access import Permission

router = APIRouter(tags=["connectors"], route_class=GuardedRoute)

ConnectorName = Annotated[str, Path(min_length=1, max_length=64, examples=["nftables"])]


@router.get(
    "/v1/connectors",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_connectors(cursor: Cursor = None, limit: Limit = 50) -> Page[ConnectorSummary]:
    """List connectors by name."""
    return page_of(all_connectors(), lambda connector: connector.name, cursor, limit)


@router.get(
    "/v1/connectors/{connector}",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_connector(connector: ConnectorName) -> ConnectorDetails:
    """Return a connector with its settings, and its actions with their inputs and results."""
    return describe_connector(connector)
