"""Routes of shadows: how a version that only runs dry differs from the live one."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.problems import error_responses
from api.routes.author.playbooks import PlaybookName
from orchestrator.authoring.shadow import ShadowReport, shadow_report
from orchestrator.domain.access import Permission
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.registry import versions

router = APIRouter(tags=["promotion"], route_class=GuardedRoute)


@router.get(
    "/v1/shadows/{playbook}",
    response_model=ShadowReport,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_shadow(
    rt: Rt,
    playbook: PlaybookName,
    since: Annotated[
        str, Query(min_length=2, max_length=20, examples=["7d"], description="How far back.")
    ] = "7d",
    version: Annotated[
        int | None,
        Query(
            ge=1,
            le=2**31 - 1,
            examples=[4],
            description="Default: the newest that is or was a shadow.",
        ),
    ] = None,
) -> ShadowReport:
    """Compare a shadow with the live version, the most dangerous differences first.

    A version becomes a shadow when it is published as one or set to that stage, until it is
    retired or made live.
    """
    age = timedelta(seconds=parse_duration(since))
    return await shadow_report(rt, playbook, since=age, version=version)


@router.delete(
    "/v1/shadows/{playbook}/{version}",
    status_code=204,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def end_shadow(
    rt: Rt,
    actor: Actor,
    playbook: PlaybookName,
    version: Annotated[int, Path(ge=1, le=2**31 - 1, examples=[4])],
) -> Response:
    """End a shadow: the version is retired."""
    await versions.end_shadow(rt, playbook, version, actor=actor)
    return Response(status_code=204)
