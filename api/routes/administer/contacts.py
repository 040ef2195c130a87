"""Contacts and notifications: how people are reached, and what was sent to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, CurrentPrincipal, GuardedRoute, requires
from api.filters.configuration import Contacts
from api.filters.lists import Notifications
from api.filters.parameters import Sort, SortByName
from api.paging import Cursor, Limit, Page, named_page
from api.problems import error_responses
from api.protocol.etags import IfMatch
from api.schemas.contacts import SaveContact
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.errors import Forbidden
from orchestrator.notifications import contacts, queries
from orchestrator.notifications.contacts import ContactView
from orchestrator.notifications.queries import NotificationView
from orchestrator.store.search.filters import NamedOrder, Order

router = APIRouter(tags=["contacts"], route_class=GuardedRoute)

Person = Annotated[str, Path(min_length=1, max_length=100, examples=["ann"])]


@router.get(
    "/v1/contacts",
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 422),
)
async def list_contacts(
    rt: Rt,
    wanted: Contacts,
    sort: SortByName = NamedOrder.NAME,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ContactView]:
    """List contacts."""
    found = await contacts.list_contacts(rt, wanted)
    return named_page(found, _person, lambda view: view.updated_at, sort, cursor, limit)


@router.get(
    "/v1/contacts/{person}",
    response_model=ContactView,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_contact(rt: Rt, person: Person) -> ContactView:
    """Return how a person is reached."""
    return await contacts.get_contact(rt, person)


@router.put(
    "/v1/contacts/{person}",
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 409, 412, 422),
)
async def save_contact(
    rt: Rt,
    principal: CurrentPrincipal,
    actor: Actor,
    replaces: IfMatch,
    person: Person,
    body: SaveContact,
) -> ContactView:
    """Save how a person is reached. Their unused links end."""
    _check_can_decide(principal)
    return await contacts.save_contact(
        rt, person, body.email, body.slack_user, actor=actor, replaces=replaces
    )


@router.delete(
    "/v1/contacts/{person}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 412, 422),
)
async def remove_contact(rt: Rt, actor: Actor, replaces: IfMatch, person: Person) -> Response:
    """Remove a contact. The person gets no more notifications, and their unused links end."""
    await contacts.remove_contact(rt, person, actor=actor, replaces=replaces)
    return Response(status_code=204)


@router.get(
    "/v1/notifications",
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=error_responses(401, 403, 422),
)
async def list_notifications(
    rt: Rt,
    wanted: Notifications,
    sort: Sort = Order.NEWEST,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[NotificationView]:
    """List notifications by the time when they were queued, without addresses and links."""
    return await queries.list_notifications(rt, wanted, order=sort, cursor=cursor, limit=limit)


def _check_can_decide(principal: Principal) -> None:
    """Raise Forbidden for a key that may not decide: links decide for their recipient."""
    if not principal.has_permission(Permission.APPROVAL_DECIDE):
        raise Forbidden(
            f"this key lacks {Permission.APPROVAL_DECIDE}, so it cannot set where approvals are"
            " decided from"
        )


def _person(view: ContactView) -> str:
    return view.person
