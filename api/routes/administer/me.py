"""Routes about the caller and the installation."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.container import Rt
from api.dependencies import CurrentPrincipal, GuardedRoute, requires
from api.problems import error_responses
from orchestrator.access import keys
from orchestrator.access.key_views import CallerIdentity, identity_of
from orchestrator.domain.access import Permission

router = APIRouter(tags=["me"], route_class=GuardedRoute)


class VersionInfo(BaseModel):
    """Which Tocsin answers."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"version": "0.1.0", "environment": "production"}}
    )

    version: str
    environment: str


@router.get(
    "/v1/me",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403),
)
async def get_identity(rt: Rt, who: CurrentPrincipal) -> CallerIdentity:
    """Return the person, roles, groups and permissions of the key that asks, and its end."""
    return identity_of(who, await keys.get_key(rt, who.key_id))


@router.get(
    "/v1/version",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403),
)
async def get_version(rt: Rt) -> VersionInfo:
    """Return the version of this installation."""
    return VersionInfo(version=version("tocsin"), environment=rt.settings.environment)
