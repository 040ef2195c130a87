"""What does a mail say? The question, what would be done, until when, and the link; as text and as HTML that loads nothing."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestrator.domain.model import Frozen
from orchestrator.notifications.approval_text import Question, moment
from orchestrator.notifications.plain_text import lines, one_line
from orchestrator.store.tables import TaskRow

_SUBJECT = 120
_SHOWN = 20
"""Changes that a mail lists; the page lists all."""
_TASK = 4000
_OPENINGS = {"asked": "Asked", "reminder": "Still open", "escalated": "Passed on to you"}
_pages = Environment(
    loader=PackageLoader("orchestrator.notifications", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


class Mail(Frozen):
    """A mail before it is addressed."""

    subject: str
    text: str
    html: str


def mail_about(question: Question, kind: str, link: str) -> Mail:
    """Asks. Opening the link decides nothing."""
    subject = one_line(f"[Tocsin] {_OPENINGS.get(kind, 'Asked')}: {question.text}", _SUBJECT)
    shown, more = question.changes[:_SHOWN], max(0, len(question.changes) - _SHOWN)
    said = [f"- {change.deed} on {change.target}: {change.summary}" for change in shown]
    if more:
        said.append(f"- and {more} more, which the page shows")
    parts = [
        question.text,
        "What would be done:\n" + "\n".join(said) if said else "",
        "Why you are asked:\n" + "\n".join(f"- {reason}" for reason in question.reasons)
        if question.reasons
        else "",
        f"Read and answer until {moment(question.expires_at)}:\n{link}",
        "The link is yours alone and works once. Opening it decides nothing. Do not forward this mail.",
        f"Approval {question.approval_id}, run {question.run_id}",
    ]
    html = _pages.get_template("approval.html").render(
        question=question, changes=shown, more=more, link=link, until=moment(question.expires_at)
    )
    return Mail(subject=subject, text="\n\n".join(part for part in parts if part) + "\n", html=html)


def mail_about_task(task: TaskRow) -> Mail:
    """Tells of something that needs a person; it holds no link, as nothing is decided from there."""
    summary, kind = lines(task.summary, _TASK), one_line(task.kind, 80).replace("_", " ")
    opened = (
        f"Task {task.id}, about {one_line(task.subject, 200)}, open since {moment(task.opened_at)}"
    )
    html = _pages.get_template("task.html").render(kind=kind, summary=summary, opened=opened)
    return Mail(
        subject=one_line(f"[Tocsin] {kind}: {summary}", _SUBJECT),
        text=f"{summary}\n\n{opened}\n",
        html=html,
    )


def addressed(
    mail: Mail, *, sender: str, to: str, notification_id: str, now: datetime
) -> EmailMessage:
    """The mail as it is sent. The same notification keeps its Message-ID, so that a mail program shows a repeated one once."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = one_line(mail.subject, _SUBJECT)
    message["From"] = f"Tocsin <{sender}>"
    message["To"] = to
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{notification_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # so that no holiday notification answers
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message
