"""Contacts: how people are reached, and which messages went to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, Guarded, Who, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.schemas.contacts import Notification, NotificationState, SaveContact
from api.schemas.examples import CONTACT, listed, shown
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.errors import Forbidden
from orchestrator.notifications import contacts
from orchestrator.notifications.contacts import ContactView
from orchestrator.notifications.queries import list_notifications

router = APIRouter(tags=["contacts"], route_class=Guarded)

Person = Annotated[str, Path(min_length=1, max_length=100, examples=["ann"])]


@router.get(
    "/v1/contacts",
    response_model=Page[ContactView],
    dependencies=[requires(Permission.ADMIN)],
    responses=listed(CONTACT) | documented(401, 403, 422),
)
async def list_contacts(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """How everybody is reached."""
    return page_of(await contacts.list_contacts(rt), lambda contact: contact.person, cursor, limit)


@router.put(
    "/v1/contacts/{person}",
    response_model=ContactView,
    dependencies=[requires(Permission.ADMIN)],
    responses=shown(CONTACT) | documented(401, 403, 409, 422),
)
async def save_contact(rt: Rt, who: Who, actor: Actor, person: Person, body: SaveContact) -> object:
    """Set how a person is reached. Links that went to them before open nothing any more."""
    _check_no_more(who)
    return await contacts.save_contact(rt, person, body.email, body.slack_user, actor=actor)


@router.delete(
    "/v1/contacts/{person}",
    status_code=204,
    dependencies=[requires(Permission.ADMIN)],
    responses=documented(401, 403, 404, 422),
)
async def remove_contact(rt: Rt, actor: Actor, person: Person) -> Response:
    """Tell a person nothing any more."""
    await contacts.remove_contact(rt, person, actor=actor)
    return Response(status_code=204)


@router.get(
    "/v1/notifications",
    response_model=Page[Notification],
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=documented(401, 403, 422),
)
async def notifications(
    rt: Rt,
    state: Annotated[NotificationState | None, Query(examples=["failed"])] = None,
    about: Annotated[str | None, Query(max_length=200, examples=["apr_1f0c"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """Messages to people, newest first."""
    return await list_notifications(rt, state=state, about=about, cursor=cursor, limit=limit)


def _check_no_more(who: Principal) -> None:
    """A link that goes to an address decides for its person, so a key that may not decide cannot direct links anywhere."""
    if not who.may(Permission.APPROVAL_DECIDE):
        raise Forbidden(
            f"this key lacks {Permission.APPROVAL_DECIDE}, so it cannot say where others decide from"
        )
