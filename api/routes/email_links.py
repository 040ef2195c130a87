"""One-time links: the page that a person opens from a mail. The link is the authority; opening it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.container import Rt, Temporal, parts
from api.pages.render import rendered
from orchestrator.approvals.email_link import LinkOver, answer_by_link, open_link, question_behind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound, TocsinError
from orchestrator.notifications.approval_text import moment
from orchestrator.notifications.one_time_links import PATH

router = APIRouter(tags=["links"], include_in_schema=False)

Token = Annotated[str, Path(max_length=200)]
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 6000
_STATUS = {NotFound: 404, LinkOver: 410, Conflict: 409, Forbidden: 403, Invalid: 422}


@router.api_route(PATH + "{token}", methods=["GET", "HEAD"])
async def show(rt: Rt, request: Request, token: Token) -> Response:
    """The question, what would be done, and a form; the same to a mail scanner as to a person."""
    try:
        opened = await open_link(rt, token)
    except TocsinError as error:
        return await _refused(request, error)
    until = moment(opened.question.expires_at)
    return rendered(
        "approval.html",
        person=opened.person,
        question=opened.question,
        until=until,
        action=f"{PATH}{token}",
    )


@router.post(PATH + "{token}")
async def answer(rt: Rt, client: Temporal, request: Request, token: Token) -> Response:
    """Decides, once."""
    try:
        _same_site(request, rt.settings.public_url)
        fields = _fields(request, await request.body())
        decision, changes = _decision(fields), _values(fields, "change")
        shown = await question_behind(rt, token)
        done = await answer_by_link(
            rt,
            client,
            token,
            decision,
            "".join(_values(fields, "digest")),
            "".join(_values(fields, "comment")),
            changes=None
            if shown.form is not None or decision == "decline" or len(changes) == len(shown.changes)
            else changes,
            form=_answers(shown.form, fields)
            if shown.form is not None and decision == "approve"
            else None,
        )
    except TocsinError as error:
        return await _refused(request, error)
    said = "You approved." if decision == "approve" else "You declined."
    more = (
        f"It takes {done['quorum']} people in all."
        if done["state"] == "pending"
        else f"This is {done['state']}."
    )
    return rendered(
        "message.html",
        title=said,
        text=f"{more} You can close this page; the link is used up.",
        again=None,
    )


async def _refused(request: Request, error: TocsinError) -> Response:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if isinstance(error, NotFound):
        await parts(request).refusals.link(request, "unknown link")
    title = "Nothing was decided" if request.method == "POST" else "There is nothing to decide here"
    again = request.url.path if isinstance(error, Invalid) else None  # the link is not used up
    return rendered("message.html", status, title=title, text=str(error), again=again)


def _same_site(request: Request, public_url: str | None) -> None:
    """Another site's page cannot know the link; that it sends one is reason enough to stop."""
    origin = request.headers.get(
        "origin", "null"
    )  # our own page sends no referrer, so its origin is `null`
    hosts = {request.headers.get("host", ""), urlsplit(public_url or "").netloc}
    sent_from = request.headers.get("sec-fetch-site", "none")
    if (origin != "null" and urlsplit(origin).netloc not in hosts) or sent_from not in {
        "same-origin",
        "none",
    }:
        raise Forbidden(
            "this answer comes from another site; open the link in the mail and answer there"
        )


def _fields(request: Request, body: bytes) -> list[tuple[str, str]]:
    refused = Invalid("the answer is not that of the page's form; open the link again")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise refused
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise refused from None


def _values(fields: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in fields if key == name]


def _decision(fields: Sequence[tuple[str, str]]) -> Literal["approve", "decline"]:
    given = _values(fields, "decision")
    if given not in (["approve"], ["decline"]):
        raise Invalid("decision: press Approve or Decline")
    return cast("Literal['approve', 'decline']", given[0])


def _answers(form: dict[str, Any], fields: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What was filled in, as the form's types: an empty field is left out, an unticked box is no."""
    given = {
        name.removeprefix("field."): value for name, value in fields if name.startswith("field.")
    }
    found: dict[str, Any] = {name: value for name, value in given.items() if value != ""}
    for name, field in form.items():
        if field["type"] == "boolean":
            found[name] = name in found
        elif (
            field["type"] == "integer"
            and name in found
            and found[name].lstrip("-").isdecimal()
            and len(found[name]) < 19
        ):
            found[name] = int(found[name])
    return found
