"""Routes of people and services, to whom keys belong."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt
from api.dependencies import Actor, CurrentPrincipal, GuardedRoute, requires
from api.filters.parameters import SortByName
from api.paging import Cursor, Limit, Page, named_page
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.people import AddPerson, ChangePerson
from orchestrator.access import people
from orchestrator.access.people import PersonView
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.errors import Forbidden
from orchestrator.store.search.filters import NamedOrder

router = APIRouter(tags=["people"], route_class=GuardedRoute)

PersonId = Annotated[str, Path(min_length=1, max_length=100, examples=["ann"])]


@router.get(
    "/v1/people",
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 422),
)
async def list_people(
    rt: Rt,
    sort: SortByName = NamedOrder.NAME,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[PersonView]:
    """List people and services, disabled ones too."""
    found = await people.list_people(rt)
    return named_page(
        found, lambda person: person.id, lambda person: person.created_at, sort, cursor, limit
    )


@router.post(
    "/v1/people",
    status_code=201,
    response_model=PersonView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 409, 422),
)
async def add_person(rt: Rt, who: CurrentPrincipal, actor: Actor, body: AddPerson) -> PersonView:
    """Add a person or a service. They can do nothing until they have a key."""
    if body.groups or body.identities:
        _check_can_decide(who)
    return await people.add_person(
        rt,
        body.id,
        full_name=body.name,
        kind=body.kind,
        groups=body.groups,
        identities=body.identities,
        actor=actor,
    )


@router.get(
    "/v1/people/{person_id}",
    response_model=PersonView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_person(rt: Rt, person_id: PersonId) -> PersonView:
    """Return a person with their groups, identities and contact."""
    return await people.get_person(rt, person_id)


@router.patch(
    "/v1/people/{person_id}",
    response_model=PersonView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 409, 412, 422),
)
async def change_person(
    rt: Rt,
    who: CurrentPrincipal,
    actor: Actor,
    replaces: IfMatch,
    person_id: PersonId,
    body: ChangePerson,
) -> PersonView:
    """Change a person's name, groups or identities; disable or enable them.

    A group keeps its date while the person stays in it. A new member approves for it after the time
    that the policy sets.
    """
    if body.groups is not None or body.identities is not None or body.disabled is False:
        _check_can_decide(who)
    return await people.change_person(
        rt,
        person_id,
        full_name=body.name,
        groups=body.groups,
        identities=body.identities,
        disabled=body.disabled,
        actor=actor,
        replaces=replaces,
    )


def _check_can_decide(principal: Principal) -> None:
    """Raise Forbidden for a key that may not decide: groups say who decides."""
    if not principal.has_permission(Permission.APPROVAL_DECIDE):
        raise Forbidden(
            f"this key lacks {Permission.APPROVAL_DECIDE}, so it cannot change who decides"
        )
