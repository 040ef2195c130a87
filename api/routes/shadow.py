"""Shadows: where does a version that only runs dry differ from the one that takes the alerts?"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.container import Rt
from api.dependencies import Guarded, requires
from api.problems import documented
from api.routes.playbooks import PlaybookName
from api.schemas.examples import shown
from orchestrator.authoring.shadow.report import ShadowReport, shadow_report
from orchestrator.domain.access import Permission
from orchestrator.playbook.language.durations import duration

_REPORT: dict[str, Any] = {
    "playbook": "c2-beacon-containment",
    "version": 4,
    "since": "2026-01-01T12:00:00Z",
    "until": None,
    "alerts": 40,
    "started_live": 40,
    "started_shadow": 40,
    "open": 1,
    "same": 39,
    "more": False,
    "groups": [
        {
            "difference": "contained more",
            "count": 1,
            "examples": [
                {
                    "about": {
                        "alert_id": "alert_1",
                        "title": "Beacon to a rare host",
                        "received_at": "2026-01-02T03:04:05+00:00",
                    },
                    "what": ["edr.isolate_host ws-042"],
                }
            ],
        }
    ],
}

router = APIRouter(tags=["promotion"], route_class=Guarded)


@router.get(
    "/v1/shadow/{name}",
    response_model=ShadowReport,
    dependencies=[requires(Permission.READ)],
    responses=shown(_REPORT) | documented(401, 403, 404, 422),
)
async def show_shadow(
    rt: Rt,
    name: PlaybookName,
    since: Annotated[
        str, Query(min_length=2, max_length=20, examples=["7d"], description="How far back.")
    ] = "7d",
    version: Annotated[
        int | None,
        Query(
            ge=1,
            le=2**31 - 1,
            examples=[4],
            description="Null: the newest that is or was a shadow.",
        ),
    ] = None,
) -> object:
    """Alert by alert what was done against what the shadow would have done, grouped, the most dangerous difference first.

    A version becomes a shadow when it is published as one, or by its stage; it is none any more when it is retired or made live.
    """
    return await shadow_report(rt, name, since=timedelta(seconds=duration(since)), version=version)
