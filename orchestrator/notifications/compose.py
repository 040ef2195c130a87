"""Composition of a notification at the time it is sent, from the current state of its subject."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.sdk.transport import Access
from connectors.slack.connector import Slack
from connectors.slack.direct_messages import DirectMessages
from orchestrator.briefing.batch import BatchText, load_batch
from orchestrator.briefing.load import load_text
from orchestrator.briefing.plain_text import one_line
from orchestrator.briefing.text import ApprovalText, format_time
from orchestrator.connections.open import open_connection_for
from orchestrator.domain.approval import BATCH_PREFIX, ApprovalState
from orchestrator.domain.errors import Rejected
from orchestrator.domain.incident import TaskState
from orchestrator.domain.model import Frozen
from orchestrator.domain.notification import Channel, NotificationKind
from orchestrator.notifications import slack
from orchestrator.notifications.batch_message import (
    batch_blocks,
    batch_mail,
    batch_over_blocks,
)
from orchestrator.notifications.contacts import decision_principal
from orchestrator.notifications.email import NOT_CONFIGURED, send_mail
from orchestrator.notifications.one_time_links import ENROLMENT_PATH, link_url, new_link
from orchestrator.notifications.templates import (
    MailBody,
    addressed,
    approval_mail,
    key_mail,
    task_mail,
)
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, records
from orchestrator.store.tables import ApprovalRow, ContactRow, KeyRow, NotificationRow, TaskRow


class Outgoing(Frozen):
    """One message, ready to be sent.

    Exactly one of `approval`, `batch`, `text` and `reply` is set, except in the edit of a batch.
    """

    notification_id: str
    kind: NotificationKind
    channel: Channel
    to: str  # an address; in Slack a user, or `channel:timestamp` and `channel:user`
    approval: ApprovalText | None = None
    batch: BatchText | None = None
    over: str | None = None  # of an edit: the batch in which nothing is pending any more
    outcome: str = ""  # of an edit: what the approval came to
    text: MailBody | None = None  # about a task or a key
    reply: str = ""
    link: SecretStr | None = None


async def prepare(
    rt: Runtime, session: AsyncSession, row: NotificationRow, now: datetime
) -> Outgoing | None:
    """Return the message as of now, or cancel the notification if there is nothing left to say.

    A link is created here, and its hash stored before the message is sent. Each attempt gets
    another link, and the one before opens nothing.
    """
    match row.kind:
        case NotificationKind.CLOSED:
            outgoing = await _edit(session, row, now)
        case NotificationKind.REPLY:
            outgoing = _reply(row)
        case NotificationKind.TASK:
            outgoing = await _task(session, row)
        case NotificationKind.KEY:
            outgoing = await _key(rt, session, row, now)
        case NotificationKind.ASKED | NotificationKind.REMINDER | NotificationKind.ESCALATED:
            outgoing = await _request(rt, session, row, now)
    if outgoing is None:
        row.cancel()
    return outgoing


async def send(rt: Runtime, outgoing: Outgoing) -> str | None:
    """Send a message. Return its id in Slack. Raise Unavailable, Unknown, Rejected, NotFound."""
    if outgoing.channel is Channel.EMAIL:
        await _send_mail(rt, outgoing)
        return None
    messages = await _open_slack(rt)
    conversation, _, rest = outgoing.to.partition(":")
    if outgoing.kind is NotificationKind.REPLY:
        await messages.send_ephemeral(conversation, rest, outgoing.reply)
        return None
    if outgoing.kind is NotificationKind.CLOSED and outgoing.approval is not None:
        blocks, preview = slack.outcome_blocks(outgoing.approval, outgoing.outcome)
        await messages.update(conversation, rest, blocks, preview)
        return None
    if outgoing.kind is NotificationKind.CLOSED and outgoing.over is not None:
        await messages.update(conversation, rest, *batch_over_blocks(outgoing.over))
        return None
    if outgoing.approval is not None:
        blocks, preview = slack.request_blocks(outgoing.approval, outgoing.kind)
    elif outgoing.batch is not None:
        blocks, preview = batch_blocks(outgoing.batch, outgoing.kind)
    else:
        text = f"{outgoing.text.subject}\n{outgoing.text.text}" if outgoing.text else ""
        blocks, preview = slack.text_blocks(text)
    return ":".join(await messages.send(outgoing.to, blocks, preview))


async def _open_slack(rt: Runtime) -> DirectMessages:
    """Return the client that writes to people, on a worker. Raise NotFound, Rejected."""
    name = rt.settings.slack_connection
    connector = await open_connection_for(rt, name, Access.WRITE)
    if not isinstance(connector, Slack):
        raise Rejected(f"connection {name!r} is not a Slack connection; set slack_connection")
    return DirectMessages(connector.http)


async def _request(
    rt: Runtime, session: AsyncSession, row: NotificationRow, now: datetime
) -> Outgoing | None:
    """Return the message about an approval, or about what of a batch waits for the person."""
    to = await _address(session, row)
    if to is None:
        return None
    if row.about.startswith(BATCH_PREFIX):
        principal = await decision_principal(session, row.person, now)
        batch = await load_batch(session, row.about, now, principal) if principal else None
        if batch is None:
            return None
        alone = batch.approvals[0] if len(batch.approvals) == 1 else None
        about: dict[str, Any] = {"approval": alone} if alone else {"batch": batch}
        ends_at = batch.ends_at
    else:
        approval = await approvals.get(session, row.about)
        if approval is None or approval.state is not ApprovalState.PENDING:
            return None
        text = await load_text(session, approval, now) if approval.expires_at > now else None
        if text is None:
            return None
        about, ends_at = {"approval": text}, approval.expires_at
    outgoing = _outgoing(row, to).model_copy(update=about)
    public_url = rt.settings.public_url
    if row.channel is not Channel.EMAIL or public_url is None:
        return outgoing
    link = new_link()
    row.give_link(link.hash, ends_at)
    return outgoing.model_copy(update={"link": SecretStr(link_url(public_url, link.token))})


async def _task(session: AsyncSession, row: NotificationRow) -> Outgoing | None:
    to = await _address(session, row)
    task = await records.get(session, TaskRow, row.about)
    if to is None or task is None or task.state != TaskState.OPEN:
        return None
    return _outgoing(row, to).model_copy(update={"text": task_mail(task)})


async def _key(
    rt: Runtime, session: AsyncSession, row: NotificationRow, now: datetime
) -> Outgoing | None:
    """Return the message about a new key. A mail has the link by which its person receives it."""
    to = await _address(session, row)
    key = await records.get(session, KeyRow, row.about)
    if to is None or key is None or key.revoked_at is not None:
        return None
    public_url, link = rt.settings.public_url, ""
    waits = (
        key.hash is None and key.enrolment_expires_at is not None and key.enrolment_expires_at > now
    )
    if row.channel is Channel.EMAIL and public_url is not None and waits:
        new = new_link()
        key.enrolment_hash = new.hash
        link = link_url(public_url, new.token, ENROLMENT_PATH)
    return _outgoing(row, to).model_copy(update={"text": key_mail(key, link)})


async def _edit(session: AsyncSession, row: NotificationRow, now: datetime) -> Outgoing | None:
    if row.about.startswith(BATCH_PREFIX) and row.external_id is not None:
        return _outgoing(row, row.external_id).model_copy(update={"over": row.about})
    approval = await approvals.get(session, row.about)
    if approval is None or row.external_id is None:
        return None
    decisions = await approvals.list_decisions(session, [approval.id])
    outcome = _outcome(approval, [decision.person for decision in decisions])
    text = await load_text(session, approval, now)
    return _outgoing(row, row.external_id).model_copy(update={"approval": text, "outcome": outcome})


def _reply(row: NotificationRow) -> Outgoing | None:
    if row.reply_to is None or row.reply_text is None:
        return None
    return _outgoing(row, row.reply_to).model_copy(update={"reply": row.reply_text})


async def _address(session: AsyncSession, row: NotificationRow) -> str | None:
    contact = await records.get(session, ContactRow, row.person)
    if contact is None:
        return None
    return contact.email if row.channel is Channel.EMAIL else contact.slack_user


def _outgoing(row: NotificationRow, to: str) -> Outgoing:
    return Outgoing(notification_id=row.id, kind=row.kind, channel=row.channel, to=to)


def _outcome(approval: ApprovalRow, people: list[str]) -> str:
    if approval.state is ApprovalState.PENDING and approval.handed_to is not None:
        return one_line(f"Handed over to {approval.handed_to} by {approval.handed_by}.", 200)
    decided = approval.state in {ApprovalState.APPROVED, ApprovalState.DECLINED}
    names = ", ".join(one_line(person, 100) for person in people)
    by = f" by {names}" if people and decided else ""
    at = f", {format_time(approval.decided_at)}" if approval.decided_at else ""
    return f"{approval.state.value.capitalize()}{by}{at}."


async def _send_mail(rt: Runtime, outgoing: Outgoing) -> None:
    sender = rt.settings.mail_from
    if rt.settings.smtp_url is None or sender is None:
        raise Rejected(NOT_CONFIGURED)
    mail = outgoing.text
    if outgoing.approval is not None or outgoing.batch is not None:
        if outgoing.link is None:
            raise Rejected(NOT_CONFIGURED)
        link = outgoing.link.get_secret_value()
        if outgoing.approval is not None:
            mail = approval_mail(outgoing.approval, outgoing.kind, link)
        elif outgoing.batch is not None:
            mail = batch_mail(outgoing.batch, outgoing.kind, link)
    if mail is not None:
        message = addressed(
            mail,
            sender=sender,
            to=outgoing.to,
            notification_id=outgoing.notification_id,
            now=rt.clock(),
        )
        await send_mail(rt.settings, message)
