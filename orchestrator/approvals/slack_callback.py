"""What comes of a click on a button in Slack? Believed by its signature, once; decided by who is behind the Slack user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import parse_qs

from pydantic import BaseModel, Field, ValidationError
from temporalio.client import Client

from connectors.sdk.http import Access
from orchestrator.approvals.decide import decide
from orchestrator.audit import trail
from orchestrator.domain.access import Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import ActionError, Forbidden, Invalid, NotFound, TocsinError
from orchestrator.domain.model import Frozen
from orchestrator.notifications import slack
from orchestrator.notifications.contacts import principal_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, notifications

_REPLAYS = ":slack"  # no source can be called so


class NotSlack(TocsinError):
    """The request is not one that Slack signed just now, for the first time."""


class Reply(Frozen):
    """What the person who clicked is told, and where."""

    user: str
    channel: str
    text: str


class _User(BaseModel):
    id: str = Field(max_length=64)


class _Action(BaseModel):
    action_id: Literal["approve", "decline"]
    value: str = Field(max_length=2000)


class _Place(BaseModel):
    id: str = Field(max_length=64)


class _Click(BaseModel):
    """What we read of Slack's payload; the rest is Slack's."""

    type: Literal["block_actions"]
    user: _User
    channel: _Place
    actions: list[_Action] = Field(min_length=1, max_length=1)


async def click(
    rt: Runtime, client: Client | None, headers: Mapping[str, str], body: bytes
) -> Reply:
    """Decides as the person who clicked, and says what came of it. Raises NotSlack, NotFound (not set up), Invalid (no click of ours)."""
    now = rt.clock()
    await _admit(rt, headers, body, now)
    clicked = _parsed(body)
    approval_id, _, digest = clicked.actions[0].value.partition(" ")
    try:
        principal = await _principal(rt, clicked.user.id, approval_id, now)
        done = await decide(
            rt, client, approval_id, principal, clicked.actions[0].action_id, digest, via="slack"
        )
        text = _came_to(done)
    except TocsinError as error:
        text = f"This does not count: {error}"
    return Reply(user=clicked.user.id, channel=clicked.channel.id, text=text)


async def whisper(rt: Runtime, reply: Reply) -> None:
    """Tells the person who clicked. That it fails changes nothing: the decision is kept, and the message will be edited."""
    try:
        await (await slack.direct(rt)).whisper(reply.channel, reply.user, reply.text)
    except (ActionError, NotFound):
        return


async def _admit(rt: Runtime, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    try:
        secret = (await slack.opened(rt, Access.READ)).settings.signing_secret
    except TocsinError:
        secret = None
    if secret is None:
        raise NotFound(
            "clicks from Slack are not set up: give the Slack connection its signing_secret"
        )
    signature = headers.get("x-slack-signature", "")
    timestamp = headers.get("x-slack-request-timestamp", "")
    if not slack.authentic(secret.get_secret_value(), timestamp, body, signature, now):
        raise NotSlack("the signature is missing, wrong or old")
    async with rt.store.write() as session:
        if not await notifications.first_time(
            session, _REPLAYS, signature, int(timestamp), sha256(body).hexdigest(), now
        ):
            raise NotSlack("this very request came before")


def _parsed(body: bytes) -> _Click:
    try:
        (payload,) = parse_qs(body.decode("utf-8"), max_num_fields=20)["payload"]
        return _Click.model_validate(json.loads(payload))
    except (ValueError, KeyError, RecursionError, ValidationError):
        raise Invalid("payload: this is no click on a button of ours") from None


async def _principal(rt: Runtime, user: str, approval_id: str, now: datetime) -> Principal:
    async with rt.store.write() as session:
        people = await notifications.contacts_in_slack(session, user)
        person = people[0].person if len(people) == 1 else None
        found = await principal_of(session, person, now) if person is not None else None
        if found is not None:
            return found
        known = await approvals.get(session, approval_id) is not None
        reason = (
            f"{person} has no API key that may decide approvals"
            if person
            else "no person here has this Slack user as a contact"
        )
        told = {"approval": approval_id if known else None, "slack_user": user, "reason": reason}
        subject, actor = (
            approval_id if known else "slack",
            f"person:{person}" if person else f"slack:{user}",
        )
        await trail.record(
            session, EventKind.APPROVAL_REFUSED, actor=actor, subject=subject, data=told, now=now
        )
    raise Forbidden(reason)


def _came_to(done: Mapping[str, object]) -> str:
    if done["state"] != "pending":
        return f"Your answer counts. This is {done['state']}."
    return f"Your answer counts. It takes {done['quorum']} people in all."
