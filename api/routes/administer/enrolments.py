"""Enrolment: a person receives a new key, by a page or by the API. The code is the authority."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.console.forms import check_same_site, own_address
from api.console.render import render_page
from api.container import Rt, container_of
from api.problems import error_responses
from api.protocol.route import StrictRoute
from api.schemas.keys import Enrol
from orchestrator.access import enrolment
from orchestrator.access.enrolment import EnrolledKey
from orchestrator.briefing.text import format_time
from orchestrator.domain.errors import Conflict, Forbidden, NotFound, TocsinError
from orchestrator.notifications.one_time_links import ENROLMENT_PATH

router = APIRouter(tags=["keys"], route_class=StrictRoute)
pages = APIRouter(tags=["links"], include_in_schema=False)

Code = Annotated[str, Path(max_length=200)]
_STATUS = {NotFound: 404, Conflict: 409, Forbidden: 403}


@router.post(
    "/v1/enrolments",
    response_model=EnrolledKey,
    responses=error_responses(403, 404, 409, 422),
    openapi_extra={"security": []},
)
async def enrol(rt: Rt, request: Request, body: Enrol) -> EnrolledKey:
    """Receive a new key by its code, which works once. The token is in this answer only."""
    try:
        return await enrolment.enrol(rt, body.code, _address(request))
    except NotFound:
        await container_of(request).access_audit.record_invalid_link(request, "unknown code")
        raise


@pages.get(ENROLMENT_PATH + "{code}")
async def show_enrolment(rt: Rt, request: Request, code: Code) -> Response:
    """Show what the key permits, and a button; the same to a mail scanner as to a person."""
    try:
        key = await enrolment.look_up(rt, code, _address(request))
    except TocsinError as error:
        return await _error_page(request, error)
    until = format_time(key.enrolment_expires_at) if key.enrolment_expires_at else ""
    return render_page("enrolment.html", key=key, until=until, here=own_address(request))


@pages.post(ENROLMENT_PATH + "{code}")
async def submit_enrolment(rt: Rt, request: Request, code: Code) -> Response:
    """Show the key, once."""
    try:
        check_same_site(request, rt.settings.public_url)
        key = await enrolment.enrol(rt, code, _address(request))
    except TocsinError as error:
        return await _error_page(request, error)
    expires = format_time(key.expires_at) if key.expires_at else ""
    return render_page("enrolled.html", key=key, expires=expires)


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


async def _error_page(request: Request, error: TocsinError) -> Response:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if isinstance(error, NotFound):
        await container_of(request).access_audit.record_invalid_link(request, "unknown code")
    return render_page("message.html", status, title="No key here", text=str(error), again=None)
