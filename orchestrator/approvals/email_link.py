"""What comes of a one-time link? Opening it shows and decides nothing; answering by it decides once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.decide import Answer, decide
from orchestrator.audit import trail
from orchestrator.domain.access import Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest as digest_of
from orchestrator.domain.errors import Conflict, Forbidden, NotFound, TocsinError
from orchestrator.domain.model import Frozen
from orchestrator.notifications.approval_text import Question, moment, question_of
from orchestrator.notifications.contacts import principal_of
from orchestrator.notifications.one_time_links import hash_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, notifications
from orchestrator.store.tables import ApprovalRow, NotificationRow


class LinkOver(Conflict):
    """The link was used, or its time is up."""


class Opened(Frozen):
    """What a link shows, and to whom."""

    person: str
    question: Question


async def open_link(rt: Runtime, token: str) -> Opened:
    """The question behind a link. Decides nothing, however often. Raises NotFound, LinkOver, Conflict (decided), Forbidden.

    A link that nobody was sent leaves no trace here: anybody can make one up.
    """
    now = rt.clock()
    await question_behind(
        rt, token
    )  # before anything is written: who makes links up shall not keep others from writing
    async with rt.store.write() as session:
        notification, row = await _behind(session, token)
        refused = _over(notification, row, now)
        if refused is None and await principal_of(session, notification.person, now) is None:
            refused = _powerless(notification)
        if refused is None:
            await _tell(session, EventKind.LINK_OPENED, notification, now, {}, once="opened")
        else:
            await _tell(
                session,
                EventKind.LINK_REFUSED,
                notification,
                now,
                {"reason": str(refused)},
                once=str(refused),
            )
    if refused is not None:
        raise refused
    return Opened(person=notification.person, question=question_of(row))


async def question_behind(rt: Runtime, token: str) -> Question:
    """What a link is about, whether or not it may still be answered; leaves no trace. Raises NotFound."""
    async with rt.store.read() as session:
        _, row = await _behind(session, token)
    return question_of(row)


async def answer_by_link(
    rt: Runtime,
    client: Client | None,
    token: str,
    decision: Answer,
    digest: str,
    comment: str = "",
    changes: Sequence[str] | None = None,
    form: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Decides, and uses the link up; the approval as it stands afterwards. Raises as `open_link` and `decide`.

    The link is taken before the decision is made: of two answers at the same instant, one finds it used. It is given back where
    the answer did not count, as nothing was decided by it.
    """
    hash_, now = hash_of(token), rt.clock()
    await question_behind(rt, token)
    async with rt.store.write() as session:
        notification, row = await _behind(session, token)
        refused = _over(notification, row, now)
        principal = await principal_of(session, notification.person, now)
        if refused is None and principal is None:
            refused = _powerless(notification)
        if refused is None and not await notifications.use(session, hash_, now):
            refused = LinkOver("this link was used already")
        if refused is not None:
            await _tell(
                session,
                EventKind.LINK_REFUSED,
                notification,
                now,
                {"reason": str(refused), "decision": decision},
            )
    if refused is not None or principal is None:
        raise refused or _powerless(notification)
    return await _decide(
        rt, client, hash_, notification.about, principal, decision, digest, comment, changes, form
    )


async def _decide(
    rt: Runtime,
    client: Client | None,
    hash_: str,
    approval_id: str,
    principal: Principal,
    decision: Answer,
    digest: str,
    comment: str,
    changes: Sequence[str] | None,
    form: Mapping[str, Any] | None,
) -> dict[str, Any]:
    given = dict(form) if form is not None else None
    try:
        return await decide(
            rt,
            client,
            approval_id,
            principal,
            decision,
            digest,
            comment=comment,
            changes=changes,
            form=given,
            via="email",
        )
    except (
        TocsinError
    ):  # anything else may have come after the decision was kept: then the link stays used
        async with rt.store.write() as session:
            await notifications.give_back(session, hash_)
        raise


async def _behind(session: AsyncSession, token: str) -> tuple[NotificationRow, ApprovalRow]:
    notification = await notifications.by_token(session, hash_of(token))
    row = await approvals.get(session, notification.about) if notification else None
    if notification is None or row is None:
        raise NotFound(
            "there is no such link; one from an earlier mail may have been replaced by that in a later one"
        )
    return notification, row


def _over(notification: NotificationRow, row: ApprovalRow, now: datetime) -> TocsinError | None:
    if notification.used_at is not None:
        return LinkOver(f"this link was used already, {moment(notification.used_at)}")
    if row.state == "expired" or row.expires_at <= now:
        return LinkOver(f"this could be answered until {moment(row.expires_at)}")
    if row.state != "pending":
        return Conflict(f"this is {row.state} already")
    if notification.expires_at is None or notification.expires_at <= now:
        return LinkOver("this link has ended; ask for a new one, or answer through the API")
    return None


def _powerless(notification: NotificationRow) -> Forbidden:
    return Forbidden(f"{notification.person} has no API key any more that may decide approvals")


async def _tell(
    session: AsyncSession,
    kind: EventKind,
    notification: NotificationRow,
    now: datetime,
    more: Mapping[str, Any],
    *,
    once: str | None = None,
) -> None:
    """`once`: what is said a single time per link, however often a mail scanner comes by."""
    told = {
        "approval": notification.about,
        "notification": notification.id,
        "person": notification.person,
        **more,
    }
    id_ = f"evt_{digest_of([notification.token_hash, once])[:40]}" if once is not None else None
    await trail.record(
        session,
        kind,
        actor=f"person:{notification.person}",
        subject=notification.about,
        data=told,
        now=now,
        event_id=id_,
    )
