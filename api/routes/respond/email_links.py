"""One-time links: the page behind the link of a mail. The link is the authority."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.console.forms import check_same_site, own_address
from api.console.render import render_page
from api.container import Rt, Temporal, container_of
from orchestrator.approvals.batches.decide import ShownApproval
from orchestrator.approvals.channels.email_link import (
    DecidedByLink,
    LinkExpired,
    behind_link,
    decide_by_link,
    open_link,
)
from orchestrator.approvals.outcome import describe_outcome
from orchestrator.briefing.text import ApprovalText, format_time
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound, TocsinError
from orchestrator.notifications.one_time_links import PATH

router = APIRouter(tags=["links"], include_in_schema=False)

Token = Annotated[str, Path(max_length=200)]
Fields = Sequence[tuple[str, str]]
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 6000
_SHOWN_REFUSALS = 5
_STATUS = {NotFound: 404, LinkExpired: 410, Conflict: 409, Forbidden: 403, Invalid: 422}


@router.get(PATH + "{token}")
async def show_link(rt: Rt, request: Request, token: Token) -> Response:
    """Show the approval and a form; the same to a mail scanner as to a person."""
    try:
        opened = await open_link(rt, token)
    except TocsinError as error:
        return await _error_page(request, error)
    if len(opened.approvals) > 1:
        return render_page(
            "batch.html",
            person=opened.person,
            batch=opened.batch,
            form=opened.approvals[0].form,
            until=format_time(min(each.expires_at for each in opened.approvals)),
            here=own_address(request),
        )
    (approval,) = opened.approvals
    return render_page(
        "approval.html",
        person=opened.person,
        approval=approval,
        until=format_time(approval.expires_at),
        here=own_address(request),
    )


@router.post(PATH + "{token}")
async def submit_link(rt: Rt, client: Temporal, request: Request, token: Token) -> Response:
    """Decide, once."""
    try:
        check_same_site(request, rt.settings.public_url)
        fields = _parse_fields(request, await request.body())
        decision = _decision(fields)
        behind = (await behind_link(rt, token)).approvals
        done = await decide_by_link(
            rt,
            client,
            token,
            decision,
            _shown(behind, decision, fields),
            "".join(_values(fields, "comment")),
            form=_form_values(behind, decision, fields),
        )
    except TocsinError as error:
        return await _error_page(request, error)
    title = "You approved." if decision is DecisionType.APPROVE else "You declined."
    text = f"{_outcome(done)} You can close this page. The link is used up."
    return render_page("message.html", title=title, text=text, again=None)


async def _error_page(request: Request, error: TocsinError) -> Response:
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    if isinstance(error, NotFound):
        await container_of(request).access_audit.record_invalid_link(request, "unknown link")
    title = "Nothing was decided" if request.method == "POST" else "Nothing to decide"
    again = own_address(request) if isinstance(error, Invalid) else None  # the link is not used up
    return render_page("message.html", status, title=title, text=str(error), again=again)


def _parse_fields(request: Request, body: bytes) -> Fields:
    invalid = Invalid("the data is not that of the page's form; open the link again")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise invalid
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise invalid from None


def _values(fields: Fields, name: str) -> list[str]:
    return [value for key, value in fields if key == name]


def _decision(fields: Fields) -> DecisionType:
    try:
        (value,) = _values(fields, "decision")
        return DecisionType(value)
    except ValueError:
        raise Invalid("decision: press Approve or Decline") from None


def _shown(
    behind: Sequence[ApprovalText], decision: DecisionType, fields: Fields
) -> list[ShownApproval]:
    """Return what the page showed: the ticked questions of a batch, or the one approval."""
    ticked = [value.partition(" ") for value in _values(fields, "item")]
    digest = "".join(_values(fields, "digest"))
    alone = [each for each in behind if each.digest == digest or len(behind) == 1]
    if ticked or not alone:
        return [ShownApproval(id=id_, digest=digest) for id_, _, digest in ticked]
    chosen = _chosen(alone[0], decision, fields)
    changes = tuple(chosen) if chosen is not None else None
    return [ShownApproval(id=alone[0].approval_id, digest=digest, changes=changes)]


def _chosen(approval: ApprovalText, decision: DecisionType, fields: Fields) -> list[str] | None:
    """Return the digests of the ticked changes; None for all, and where no changes are chosen."""
    chosen = _values(fields, "change")
    if approval.form is not None or decision is DecisionType.DECLINE:
        return None
    return None if len(chosen) == len(approval.changes) else chosen


def _outcome(done: DecidedByLink) -> str:
    if done.approval is not None:
        return describe_outcome(done.approval, done.person)
    batch = done.batch
    items = batch.items if batch is not None else ()
    if len(items) == 1 and items[0].approval is not None:
        return describe_outcome(items[0].approval, done.person)
    refused = [f"{item.id}: {item.reason}." for item in items if item.reason]
    decided = f"{len(items) - len(refused)} of {len(items)} questions are decided."
    return " ".join([decided, *refused[:_SHOWN_REFUSALS]])


def _form_values(
    behind: Sequence[ApprovalText], decision: DecisionType, fields: Fields
) -> dict[str, Any] | None:
    """Return typed form values. An empty field is omitted."""
    form = behind[0].form if behind else None
    if form is None or decision is DecisionType.DECLINE:
        return None
    given = {
        name.removeprefix("field."): value for name, value in fields if name.startswith("field.")
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value != ""}
    for name, field in form.items():
        if field["type"] == "boolean" and name in values:
            values[name] = {"true": True, "false": False}.get(values[name], values[name])
        elif field["type"] == "integer" and name in values and _is_integer(values[name]):
            values[name] = int(values[name])
    return values


def _is_integer(text: str) -> bool:
    return text.lstrip("-").isdecimal() and len(text) < 19
