"""Routes of published playbooks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.configuration import Playbooks
from api.filters.parameters import SortByName
from api.paging import Cursor, Limit, Page, named_page
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.playbooks import PublishPlaybook
from orchestrator.domain.access import Permission
from orchestrator.registry import publish
from orchestrator.registry.publish import PlaybookFiles
from orchestrator.registry.views import PlaybookView, PublishedPlaybook
from orchestrator.store.search.filters import NamedOrder

router = APIRouter(tags=["playbooks"], route_class=GuardedRoute)

PlaybookName = Annotated[str, Path(min_length=1, max_length=64, examples=["c2-beacon-containment"])]
_MOST = 2**31 - 1


@router.get(
    "/v1/playbooks",
    response_model=Page[PlaybookView],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_playbooks(
    rt: Rt,
    wanted: Playbooks,
    sort: SortByName = NamedOrder.NAME,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PlaybookView]:
    """List published versions; `built_in` lists those that Tocsin made."""
    found = await publish.list_playbooks(rt, wanted)
    return named_page(found, _key, lambda view: view.created_at, sort, cursor, limit)


@router.post(
    "/v1/playbooks",
    status_code=201,
    response_model=PublishedPlaybook,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 409, 422),
)
async def publish_playbook(rt: Rt, actor: Actor, body: PublishPlaybook) -> PublishedPlaybook:
    """Publish a version, which never changes from then on; `outcome` says whether it was new.

    Publishing the same text again changes nothing, except that missing tests are added. Other
    tests under a published version are a conflict.
    """
    files = PlaybookFiles(tests=body.tests, files=body.files) if body.tests is not None else None
    return await publish.publish_playbook(
        rt, body.text, body.file, actor=actor, files=files, stage=body.stage
    )


@router.get(
    "/v1/playbooks/{playbook}",
    response_model=PlaybookView,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_playbook(
    rt: Rt,
    playbook: PlaybookName,
    version: Annotated[
        int | None,
        Query(ge=1, le=_MOST, description="Default: the one that takes alerts.", examples=[3]),
    ] = None,
) -> PlaybookView:
    """Get a published version, as its author wrote it."""
    return await publish.get_playbook(rt, playbook, version)


@router.post(
    "/v1/playbooks/{playbook}/{version}/retire",
    response_model=PlaybookView,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def retire_playbook(
    rt: Rt,
    actor: Actor,
    replaces: IfMatch,
    playbook: PlaybookName,
    version: Annotated[int, Path(ge=1, le=_MOST, examples=[3])],
) -> PlaybookView:
    """Retire a version: no new run starts with it, and open runs continue."""
    return await publish.retire_playbook(rt, playbook, version, actor=actor, replaces=replaces)


def _key(view: PlaybookView) -> str:
    return f"{view.name} {view.version:010d}"
