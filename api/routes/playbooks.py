"""Playbooks: checked, published, shown, retired."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.container import Rt
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.schemas.configuration import CheckedPlaybook, PlaybookText, PublishedText
from api.schemas.examples import PLAYBOOK, listed, shown
from orchestrator.domain.access import Permission
from orchestrator.registry import playbooks
from orchestrator.registry.playbooks import Beside, PlaybookView

router = APIRouter(tags=["playbooks"], route_class=Guarded)

PlaybookName = Annotated[str, Path(min_length=1, max_length=64, examples=["c2-beacon-containment"])]
_MOST = 2**31 - 1


@router.get(
    "/v1/playbooks",
    response_model=Page[PlaybookView],
    dependencies=[requires(Permission.READ)],
    responses=listed(PLAYBOOK) | documented(401, 403, 422),
)
async def list_playbooks(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """Every published version, by name and version."""
    return page_of(await playbooks.list_playbooks(rt), _key, cursor, limit)


@router.post(
    "/v1/playbooks",
    status_code=201,
    response_model=PlaybookView,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(PLAYBOOK, 201) | documented(401, 403, 409, 422),
)
async def publish_playbook(rt: Rt, actor: Actor, body: PublishedText) -> object:
    """Publish a version, which never changes from then on. The same text again is no change; tests that it lacked are kept with it."""
    beside = Beside(tests=body.tests, files=body.files) if body.tests is not None else None
    return await playbooks.publish_playbook(
        rt, body.text, body.file, actor=actor, beside=beside, stage=body.stage
    )


@router.post(
    "/v1/playbooks/check",
    response_model=CheckedPlaybook,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def check_playbook(rt: Rt, body: PlaybookText) -> object:
    """Whether it could be published; if not, each error has its line, column, step and mend."""
    compiled = await playbooks.check_playbook(rt, body.text, body.file)
    plan = compiled.plan
    return CheckedPlaybook(
        playbook=plan.playbook,
        version=plan.version,
        title=plan.title,
        digest=plan.digest,
        positions=compiled.positions,
    )


@router.get(
    "/v1/playbooks/{name}",
    response_model=PlaybookView,
    dependencies=[requires(Permission.READ)],
    responses=shown(PLAYBOOK) | documented(401, 403, 404, 422),
)
async def show_playbook(
    rt: Rt,
    name: PlaybookName,
    version: Annotated[
        int | None, Query(ge=1, le=_MOST, description="Which; else the newest.", examples=[3])
    ] = None,
) -> object:
    """A published version, as its author wrote it."""
    return await playbooks.get_playbook(rt, name, version)


@router.post(
    "/v1/playbooks/{name}/{version}/retire",
    response_model=PlaybookView,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(PLAYBOOK) | documented(401, 403, 404, 422),
)
async def retire_playbook(
    rt: Rt,
    actor: Actor,
    name: PlaybookName,
    version: Annotated[int, Path(ge=1, le=_MOST, examples=[3])],
) -> object:
    """No new run starts with it; those that run go on."""
    return await playbooks.retire_playbook(rt, name, version, actor=actor)


def _key(view: PlaybookView) -> str:
    return f"{view.name} {view.version:010d}"
