"""What is sent to whom, at this moment? Read when it is sent, so that nobody is asked what is answered, at an address of yesterday."""

from __future__ import annotations

from datetime import datetime

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.errors import Rejected
from orchestrator.domain.model import Frozen
from orchestrator.notifications import slack
from orchestrator.notifications.approval_text import Question, moment, question_of
from orchestrator.notifications.email import send_mail
from orchestrator.notifications.one_time_links import address, new_link
from orchestrator.notifications.plain_text import one_line
from orchestrator.notifications.templates import Mail, addressed, mail_about, mail_about_task
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, records
from orchestrator.store.tables import ContactRow, NotificationRow, TaskRow


class Outgoing(Frozen):
    """One message, ready to go. `to`: the address; `said`: for an edit, what the question came to; `link`: the secret that it carries."""

    notification_id: str
    kind: str
    channel: str
    to: str
    question: Question | None = None
    said: str = ""
    task: Mail | None = None
    link: SecretStr | None = None


async def prepare(
    rt: Runtime, session: AsyncSession, row: NotificationRow, now: datetime
) -> Outgoing | None:
    """The message as it stands now; None, and the row void, where there is nothing to tell any more.

    A link is made here, its hash kept before it is sent. Sent again, a message gets another, and the one before opens nothing.
    """
    contact = await records.one(session, ContactRow, row.person)
    to = (
        None if contact is None else contact.email if row.channel == "email" else contact.slack_user
    )
    if row.kind == "closed":
        return await _edit(session, row)
    outgoing = None
    if to is not None:
        outgoing = await (_task if row.kind == "task" else _asked)(session, row, to, now)
    if outgoing is None:
        row.state = "void"
    elif (
        outgoing.question is not None
        and row.channel == "email"
        and rt.settings.public_url is not None
    ):
        made = new_link()
        row.token_hash, row.expires_at, row.used_at = made.hash, outgoing.question.expires_at, None
        outgoing = outgoing.model_copy(
            update={"link": SecretStr(address(rt.settings.public_url, made.token))}
        )
    return outgoing


async def deliver(rt: Runtime, outgoing: Outgoing) -> str | None:
    """Sends it; by what Slack knows the message. Raises Unavailable, Unknown, Rejected, NotFound."""
    if outgoing.channel == "email":
        await _mail(rt, outgoing)
        return None
    messages = await slack.direct(rt)
    if outgoing.kind == "closed" and outgoing.question is not None:
        channel, _, ts = outgoing.to.partition(":")
        await messages.amend(channel, ts, *slack.answered(outgoing.question, outgoing.said))
        return None
    text = f"{outgoing.task.subject}\n{outgoing.task.text}" if outgoing.task else ""
    blocks, notification = (
        slack.asking(outgoing.question, outgoing.kind) if outgoing.question else slack.telling(text)
    )
    return ":".join(await messages.send(outgoing.to, blocks, notification))


async def _asked(
    session: AsyncSession, row: NotificationRow, to: str, now: datetime
) -> Outgoing | None:
    asked = await approvals.get(session, row.about)
    if asked is None or asked.state != "pending" or asked.expires_at <= now:
        return None
    return Outgoing(
        notification_id=row.id,
        kind=row.kind,
        channel=row.channel,
        to=to,
        question=question_of(asked),
    )


async def _task(
    session: AsyncSession, row: NotificationRow, to: str, _now: datetime
) -> Outgoing | None:
    task = await records.one(session, TaskRow, row.about)
    if task is None or task.state != "open":
        return None
    return Outgoing(
        notification_id=row.id,
        kind=row.kind,
        channel=row.channel,
        to=to,
        task=mail_about_task(task),
    )


async def _edit(session: AsyncSession, row: NotificationRow) -> Outgoing | None:
    asked = await approvals.get(session, row.about)
    if asked is None or row.external_id is None:
        row.state = "void"
        return None
    people = [answer.person for answer in await approvals.answers(session, [asked.id])]
    by = (
        f" by {', '.join(one_line(person, 100) for person in people)}"
        if people and asked.state in {"approved", "declined"}
        else ""
    )
    said = (
        f"This is {asked.state}{by}{f', {moment(asked.decided_at)}' if asked.decided_at else ''}."
    )
    return Outgoing(
        notification_id=row.id,
        kind=row.kind,
        channel=row.channel,
        to=row.external_id,
        question=question_of(asked),
        said=said[0].upper() + said[1:],
    )


async def _mail(rt: Runtime, outgoing: Outgoing) -> None:
    sender = rt.settings.mail_from
    if (
        rt.settings.smtp_url is None
        or sender is None
        or (outgoing.question is not None and outgoing.link is None)
    ):
        raise Rejected("no mail can be sent: set smtp_url, mail_from and public_url")
    mail = outgoing.task
    if outgoing.question is not None and outgoing.link is not None:
        mail = mail_about(outgoing.question, outgoing.kind, outgoing.link.get_secret_value())
    if mail is not None:
        await send_mail(
            rt.settings,
            addressed(
                mail,
                sender=sender,
                to=outgoing.to,
                notification_id=outgoing.notification_id,
                now=rt.clock(),
            ),
        )
