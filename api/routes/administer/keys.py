"""Routes of API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, CurrentPrincipal, GuardedRoute, requires
from api.filters.configuration import Keys
from api.filters.parameters import SortByName
from api.paging import Cursor, Limit, Page, named_page
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.keys import CreateKey
from orchestrator.access import keys
from orchestrator.access.key_views import CreatedKey, KeyView
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.errors import Forbidden
from orchestrator.store.search.filters import NamedOrder

router = APIRouter(tags=["keys"], route_class=GuardedRoute)

KeyId = Annotated[str, Path(min_length=1, max_length=64, examples=["0123456789abcdef"])]


@router.get(
    "/v1/keys",
    response_model=Page[KeyView],
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 422),
)
async def list_keys(
    rt: Rt,
    wanted: Keys,
    sort: SortByName = NamedOrder.NAME,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[KeyView]:
    """List keys without their tokens; without a filter, revoked and expired ones too."""
    found = await keys.list_keys(rt, wanted)
    return named_page(found, _id, lambda view: view.created_at, sort, cursor, limit)


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=CreatedKey,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def create_key(rt: Rt, who: CurrentPrincipal, actor: Actor, body: CreateKey) -> CreatedKey:
    """Create a key that its person receives by a code; you never see its token.

    The code goes to the person by mail. Where no mail can reach them, it is in this answer.
    """
    scopes = None if body.scopes is None else tuple(body.scopes)
    _check_no_wider(
        who, Principal(key_id="", person=body.person, roles=tuple(body.roles), scopes=scopes)
    )
    life = timedelta(seconds=body.expires_in) if body.expires_in is not None else None
    return await keys.create_key(
        rt, body.person, body.roles, scopes, body.networks, life, actor=actor
    )


@router.get(
    "/v1/keys/{key_id}",
    response_model=KeyView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_key(rt: Rt, key_id: KeyId) -> KeyView:
    """Return a key without its token."""
    return await keys.get_key(rt, key_id)


@router.post(
    "/v1/keys/{key_id}/confirm",
    response_model=KeyView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 409, 412, 422),
)
async def confirm_key(rt: Rt, who: CurrentPrincipal, replaces: IfMatch, key_id: KeyId) -> KeyView:
    """Confirm a key that may decide, as a second admin, where the policy wants two."""
    return await keys.confirm_key(rt, key_id, who, replaces)


@router.delete(
    "/v1/keys/{key_id}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def revoke_key(rt: Rt, actor: Actor, replaces: IfMatch, key_id: KeyId) -> Response:
    """Revoke a key, effective immediately."""
    await keys.revoke_key(rt, key_id, actor=actor, replaces=replaces)
    return Response(status_code=204)


def _check_no_wider(who: Principal, wanted: Principal) -> None:
    """Raise Forbidden when a key would create one with more permissions than its own."""
    beyond = sorted(wanted.permissions - who.permissions)
    if beyond:
        raise Forbidden(f"this key lacks {', '.join(beyond)}, so it cannot grant it")


def _id(view: KeyView) -> str:
    return view.id
