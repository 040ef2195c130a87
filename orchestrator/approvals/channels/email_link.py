"""One-time links in mails: opening one shows what is asked, submitting its form decides once.

A link is about one approval, or about what of a batch waits for its person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.batches.decide import BatchDecision, ShownApproval, decide_batch
from orchestrator.approvals.decide import decide
from orchestrator.approvals.rejections import unknown_approval
from orchestrator.audit import trail
from orchestrator.briefing.approval import ApprovalView
from orchestrator.briefing.batch import BatchText, load_batch
from orchestrator.briefing.load import load_text
from orchestrator.briefing.text import ApprovalText, format_time
from orchestrator.domain.access import Principal
from orchestrator.domain.approval import (
    BATCH_PREFIX,
    ApprovalState,
    DecisionChannel,
    DecisionType,
)
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest as digest_of
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound, TocsinError
from orchestrator.domain.model import Frozen
from orchestrator.notifications.contacts import decision_principal
from orchestrator.notifications.one_time_links import hash_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, notifications
from orchestrator.store.tables import ApprovalRow, NotificationRow


class LinkExpired(Conflict):
    """The link was used, or its time is over."""


class OpenedLink(Frozen):
    """What a link shows, and to whom: one approval, or what of a batch waits for the person."""

    person: str
    approval: ApprovalText | None = None
    batch: BatchText | None = None

    @property
    def approvals(self) -> tuple[ApprovalText, ...]:
        """Everything that can be decided by the link."""
        if self.approval is not None:
            return (self.approval,)
        return self.batch.approvals if self.batch is not None else ()


class DecidedByLink(Frozen):
    """What a link decided, and by whom."""

    person: str
    approval: ApprovalView | None = None
    batch: BatchDecision | None = None


@dataclass(frozen=True, slots=True)
class _Link:
    """A link as the database has it now."""

    notification: NotificationRow
    approval: ApprovalRow | None  # None: the link is about a batch
    principal: Principal | None  # None: its person may not decide
    batch: BatchText | None  # what of the batch waits for the person


async def open_link(rt: Runtime, token: str) -> OpenedLink:
    """Return what is behind a link. Nothing is decided, however often it is opened.

    Raise NotFound, LinkExpired, Conflict (decided), Forbidden. An unknown token leaves no trace
    here, because anyone can invent one.
    """
    now = rt.clock()
    # Read first, so that guessing, and a long batch, cannot block writers.
    async with rt.store.read() as session:
        link = await _load(session, token, now)
        rejected = _rejection(link, now)
        opened = await _opened(session, link, now)
    reason = str(rejected)
    async with rt.store.write() as session:
        if rejected is None:
            await _record(session, EventKind.LINK_OPENED, link.notification, now, once="opened")
        else:
            await _record(
                session, EventKind.LINK_REFUSED, link.notification, now, once=reason, reason=reason
            )
    if rejected is not None:
        raise rejected
    return opened


async def behind_link(rt: Runtime, token: str) -> OpenedLink:
    """Return what a link is about, whether or not it can still be used. Raise NotFound."""
    async with rt.store.read() as session:
        return await _opened(session, await _load(session, token, rt.clock()), rt.clock())


async def decide_by_link(
    rt: Runtime,
    client: Client | None,
    token: str,
    decision: DecisionType,
    shown: Sequence[ShownApproval],
    comment: str = "",
    form: Mapping[str, Any] | None = None,
) -> DecidedByLink:
    """Decide as the link's person what they saw, use the link up, and return the outcome.

    The link is used up before the decision, so that of two concurrent submissions one finds it
    used. It is restored if nothing is decided. Raise as `open_link` and `decide`.
    """
    token_hash, now = hash_of(token), rt.clock()
    async with rt.store.read() as session:
        link = await _load(session, token, now)
    rejected = _rejection(link, now)
    async with rt.store.write() as session:
        if rejected is None and not await notifications.use_link(session, token_hash, now):
            rejected = LinkExpired("this link has been used")
        if rejected is not None:
            details = {"reason": str(rejected), "decision": decision}
            await _record(session, EventKind.LINK_REFUSED, link.notification, now, **details)
    if rejected is not None or link.principal is None:
        raise rejected or _without_permission(link.notification)
    try:
        return await _decide(rt, client, link, link.principal, decision, shown, comment, form)
    except TocsinError:  # after any other error the decision may be recorded: the link stays used
        async with rt.store.write() as session:
            await notifications.restore_link(session, token_hash)
        raise


async def _decide(
    rt: Runtime,
    client: Client | None,
    link: _Link,
    principal: Principal,
    decision: DecisionType,
    shown: Sequence[ShownApproval],
    comment: str,
    form: Mapping[str, Any] | None,
) -> DecidedByLink:
    values, via = dict(form) if form is not None else None, DecisionChannel.EMAIL
    about = link.notification.about
    if link.approval is None:
        if not shown:
            raise Conflict("nothing is chosen; tick at least one question")
        done = await decide_batch(
            rt, client, about, principal, decision, shown, comment, values, via
        )
        if not done.decided:
            raise Conflict(str(done.items[0].reason))
        return DecidedByLink(person=principal.person, batch=done)
    if len(shown) != 1:
        raise Invalid("the data is not that of the page's form; open the link again")
    seen = shown[0]
    approval = await decide(
        rt,
        client,
        about,
        principal,
        decision,
        seen.digest,
        comment=comment,
        changes=seen.changes,
        form=values,
        via=via,
    )
    return DecidedByLink(person=principal.person, approval=approval)


async def _find(session: AsyncSession, token: str) -> tuple[NotificationRow, ApprovalRow | None]:
    """Return the notification of a link, and its approval. Raise NotFound."""
    notification = await notifications.find_by_link(session, hash_of(token))
    if notification is not None:
        row = await approvals.get(session, notification.about)
        # Nothing is in a batch whose approvals were all handed over.
        if row is not None or notification.about.startswith(BATCH_PREFIX):
            return notification, row
    raise NotFound("this link does not exist; a later mail may have replaced it")


async def _load(session: AsyncSession, token: str, now: datetime) -> _Link:
    notification, row = await _find(session, token)
    principal = await decision_principal(session, notification.person, now)
    batch = None
    if row is None and principal is not None:
        batch = await load_batch(session, notification.about, now, principal)
    return _Link(notification, row, principal, batch)


async def _opened(session: AsyncSession, link: _Link, now: datetime) -> OpenedLink:
    person = link.notification.person
    if link.approval is None:
        return OpenedLink(person=person, batch=link.batch)
    text = await load_text(session, link.approval, now)
    if text is None:
        raise unknown_approval(link.approval.id)
    return OpenedLink(person=person, approval=text)


def _rejection(link: _Link, now: datetime) -> TocsinError | None:
    notification, row = link.notification, link.approval
    if notification.used_at is not None:
        return LinkExpired(f"this link was used at {format_time(notification.used_at)}")
    if row is not None and (row.state is ApprovalState.EXPIRED or row.expires_at <= now):
        return LinkExpired(f"this approval expired at {format_time(row.expires_at)}")
    if row is not None and row.state is not ApprovalState.PENDING:
        return Conflict(f"this approval is already {row.state}")
    if notification.expires_at is None or notification.expires_at <= now:
        return LinkExpired("this link has expired; ask for a new one, or decide through the API")
    if link.principal is None:
        return _without_permission(notification)
    if row is None and link.batch is None:
        return Conflict("every question of this mail is answered or over")
    return None


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
