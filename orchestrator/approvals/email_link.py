"""One-time links in mails: opening one shows the approval, submitting its form decides once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.decide import decide
from orchestrator.approvals.rejections import unknown_approval
from orchestrator.audit import trail
from orchestrator.briefing.approval import ApprovalView
from orchestrator.briefing.load import load_text
from orchestrator.briefing.text import ApprovalText, format_time
from orchestrator.domain.access import Principal
from orchestrator.domain.approval import ApprovalState, DecisionChannel, DecisionType
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest as digest_of
from orchestrator.domain.errors import Conflict, Forbidden, NotFound, TocsinError
from orchestrator.domain.model import Frozen
from orchestrator.notifications.contacts import decision_principal
from orchestrator.notifications.one_time_links import hash_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, notifications
from orchestrator.store.tables import ApprovalRow, NotificationRow


class LinkExpired(Conflict):
    """The link was used, or its time is over."""


class OpenedLink(Frozen):
    """What a link shows, and to whom."""

    person: str
    approval: ApprovalText


class DecidedByLink(Frozen):
    """What a link decided, and by whom."""

    person: str
    approval: ApprovalView


async def open_link(rt: Runtime, token: str) -> OpenedLink:
    """Return the approval behind a link. Nothing is decided, however often it is opened.

    Raise NotFound, LinkExpired, Conflict (decided), Forbidden. An unknown token leaves no trace
    here, because anyone can invent one.
    """
    now = rt.clock()
    # Reject unknown tokens before taking the write lock, so that guessing cannot block writers.
    await approval_behind(rt, token)
    async with rt.store.write() as session:
        notification, row = await _load(session, token)
        principal = await decision_principal(session, notification.person, now)
        rejected = _rejection(notification, row, principal, now)
        text = await _text(session, row, now)
        if rejected is None:
            await _record(session, EventKind.LINK_OPENED, notification, now, once="opened")
        else:
            reason = str(rejected)
            await _record(
                session, EventKind.LINK_REFUSED, notification, now, once=reason, reason=reason
            )
    if rejected is not None:
        raise rejected
    return OpenedLink(person=notification.person, approval=text)


async def approval_behind(rt: Runtime, token: str) -> ApprovalText:
    """Return what a link is about, whether or not it can still be used. Raise NotFound."""
    async with rt.store.read() as session:
        _, row = await _load(session, token)
        return await _text(session, row, rt.clock())


async def decide_by_link(
    rt: Runtime,
    client: Client | None,
    token: str,
    decision: DecisionType,
    digest: str,
    comment: str = "",
    changes: Sequence[str] | None = None,
    form: Mapping[str, Any] | None = None,
) -> DecidedByLink:
    """Decide as the link's person, use the link up, and return the approval.

    The link is used up before the decision, so that of two concurrent submissions one finds it
    used. It is restored if the decision is rejected. Raise as `open_link` and `decide`.
    """
    token_hash, now = hash_of(token), rt.clock()
    await approval_behind(rt, token)
    async with rt.store.write() as session:
        notification, row = await _load(session, token)
        principal = await decision_principal(session, notification.person, now)
        rejected = _rejection(notification, row, principal, now)
        if rejected is None and not await notifications.use_link(session, token_hash, now):
            rejected = LinkExpired("this link has been used")
        if rejected is not None:
            details = {"reason": str(rejected), "decision": decision}
            await _record(session, EventKind.LINK_REFUSED, notification, now, **details)
    if rejected is not None or principal is None:
        raise rejected or _without_permission(notification)
    try:
        approval = await decide(
            rt,
            client,
            notification.about,
            principal,
            decision,
            digest,
            comment=comment,
            changes=changes,
            form=dict(form) if form is not None else None,
            via=DecisionChannel.EMAIL,
        )
        return DecidedByLink(person=principal.person, approval=approval)
    except TocsinError:  # after any other error the decision may be recorded: the link stays used
        async with rt.store.write() as session:
            await notifications.restore_link(session, token_hash)
        raise


async def _load(session: AsyncSession, token: str) -> tuple[NotificationRow, ApprovalRow]:
    notification = await notifications.find_by_link(session, hash_of(token))
    row = await approvals.get(session, notification.about) if notification else None
    if notification is None or row is None:
        raise NotFound("this link does not exist; a later mail may have replaced it")
    return notification, row


async def _text(session: AsyncSession, row: ApprovalRow, now: datetime) -> ApprovalText:
    text = await load_text(session, row, now)
    if text is None:
        raise unknown_approval(row.id)
    return text


def _rejection(
    notification: NotificationRow, row: ApprovalRow, principal: Principal | None, now: datetime
) -> TocsinError | None:
    if notification.used_at is not None:
        return LinkExpired(f"this link was used at {format_time(notification.used_at)}")
    if row.state is ApprovalState.EXPIRED or row.expires_at <= now:
        return LinkExpired(f"this approval expired at {format_time(row.expires_at)}")
    if row.state is not ApprovalState.PENDING:
        return Conflict(f"this approval is already {row.state}")
    if notification.expires_at is None or notification.expires_at <= now:
        return LinkExpired("this link has expired; ask for a new one, or decide through the API")
    return _without_permission(notification) if principal is None else None


def _without_permission(notification: NotificationRow) -> Forbidden:
    return Forbidden(f"{notification.person} no longer has an API key that permits decisions")


async def _record(
    session: AsyncSession,
    kind: EventKind,
    notification: NotificationRow,
    now: datetime,
    *,
    once: str | None = None,
    **more: Any,
) -> None:
    """Record an event. `once`: the key of an event that is recorded once per link."""
    details = {
        "approval": notification.about,
        "notification": notification.id,
        "person": notification.person,
        **more,
    }
    event_id = f"evt_{digest_of([notification.token_hash, once])[:40]}" if once else None
    await trail.record(
        session,
        kind,
        actor=f"person:{notification.person}",
        subject=notification.about,
        data=details,
        now=now,
        event_id=event_id,
    )
