"""Clicks on the buttons of a Slack message: verified by signature, decided as the linked person.

The API process only records what to reply. The worker sends the reply to Slack.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from urllib.parse import parse_qs

from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.decide import decide
from orchestrator.approvals.outcome import describe_outcome
from orchestrator.audit import trail
from orchestrator.domain.access import Principal
from orchestrator.domain.approval import DecisionChannel, DecisionType
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Forbidden, Invalid, NotFound, TocsinError
from orchestrator.notifications import outbox, slack
from orchestrator.notifications.contacts import decision_principal
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, notifications

_REQUESTS = ":slack"  # no source can have this name


class NotFromSlack(TocsinError):
    """The request does not carry a fresh signature of Slack, or was received before."""


class _User(BaseModel):
    id: str = Field(max_length=64)


class _Action(BaseModel):
    action_id: DecisionType
    value: str = Field(max_length=2000)  # approval id, space, digest


class _Conversation(BaseModel):
    id: str = Field(max_length=64)


class _Click(BaseModel):
    """The part of Slack's `block_actions` payload that is used."""

    type: str = Field(pattern="^block_actions$")
    user: _User
    channel: _Conversation
    actions: list[_Action] = Field(min_length=1, max_length=1)


async def handle_click(
    rt: Runtime, client: Client | None, headers: Mapping[str, str], body: bytes
) -> str:
    """Decide as the person who clicked, queue the reply to them, and return its text.

    Raise NotFromSlack, NotFound (no signing secret), Invalid (not a click on one of our buttons).
    """
    now = rt.clock()
    await _verify(rt, headers, body, now)
    click = _parse(body)
    action = click.actions[0]
    approval_id, _, digest = action.value.partition(" ")
    try:
        principal = await _principal(rt, click.user.id, approval_id, now)
        approval = await decide(
            rt,
            client,
            approval_id,
            principal,
            action.action_id,
            digest,
            via=DecisionChannel.SLACK,
        )
        text = f"Recorded. {describe_outcome(approval, principal.person)}"
    except TocsinError as error:
        text = f"Not recorded: {error}"
    async with rt.store.write() as session:
        await outbox.queue_reply(session, approval_id, click.channel.id, click.user.id, text, now)
    return text


async def _verify(rt: Runtime, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    secret = await slack.load_signing_secret(rt)
    if secret is None:
        raise NotFound(
            "Slack clicks are not configured; set signing_secret on the connection"
            f" {rt.settings.slack_connection!r}"
        )
    signature = headers.get("x-slack-signature", "")
    timestamp = headers.get("x-slack-request-timestamp", "")
    if not slack.is_authentic(secret.get_secret_value(), timestamp, body, signature, now):
        raise NotFromSlack("the signature is missing, wrong or old")
    digest = sha256(body).hexdigest()
    async with rt.store.write() as session:
        if not await notifications.record_request(
            session, _REQUESTS, signature, int(timestamp), digest, now
        ):
            raise NotFromSlack("this request was received before")


def _parse(body: bytes) -> _Click:
    try:
        (payload,) = parse_qs(body.decode("utf-8"), max_num_fields=20)["payload"]
        return _Click.model_validate(json.loads(payload))
    except (ValueError, KeyError, RecursionError, ValidationError):
        raise Invalid("payload: not a click on an Approve or Decline button") from None


async def _principal(rt: Runtime, user: str, approval_id: str, now: datetime) -> Principal:
    """Return the person behind a Slack user. Raise Forbidden, and record it, if there is no one."""
    async with rt.store.write() as session:
        people = await notifications.find_by_slack_user(session, user)
        person = people[0].person if len(people) == 1 else None
        principal = await decision_principal(session, person, now) if person is not None else None
        if principal is not None:
            return principal
        if person is None:
            reason = "no contact has this Slack user"
        else:
            reason = f"{person} has no API key that permits decisions"
        await _record_rejection(session, user, person, approval_id, reason, now)
    raise Forbidden(reason)


async def _record_rejection(
    session: AsyncSession,
    user: str,
    person: str | None,
    approval_id: str,
    reason: str,
    now: datetime,
) -> None:
    known = await approvals.get(session, approval_id) is not None
    details = {"approval": approval_id if known else None, "slack_user": user, "reason": reason}
    await trail.record(
        session,
        EventKind.APPROVAL_REFUSED,
        actor=f"person:{person}" if person else f"slack:{user}",
        subject=approval_id if known else "slack",
        data=details,
        now=now,
    )
