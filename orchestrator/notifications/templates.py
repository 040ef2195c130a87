"""Mails: subject, text, and HTML that loads nothing."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestrator.domain.model import Frozen
from orchestrator.domain.notification import NotificationKind
from orchestrator.notifications.approval_text import ApprovalText, format_time
from orchestrator.notifications.plain_text import lines, one_line
from orchestrator.store.tables import TaskRow

_SUBJECT = 120
_SHOWN_CHANGES = 20
"""The most changes that a mail lists; the page lists all."""
_TASK = 4000
_LINK_NOTE = (
    "The link is personal and works once. Opening it decides nothing. Do not forward this mail."
)
_environment = Environment(
    loader=PackageLoader("orchestrator.notifications", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)


class MailBody(Frozen):
    """A mail before it is addressed."""

    subject: str
    text: str
    html: str


def approval_mail(approval: ApprovalText, kind: NotificationKind, link: str) -> MailBody:
    """Return the mail that asks for a decision."""
    shown = approval.changes[:_SHOWN_CHANGES]
    more = max(0, len(approval.changes) - _SHOWN_CHANGES)
    until = format_time(approval.expires_at)
    changes = [f"- {change.action} on {change.target}: {change.summary}" for change in shown]
    if more:
        changes.append(f"- and {more} more on the page")
    reasons = [f"- {reason}" for reason in approval.reasons]
    parts = [
        approval.question,
        "\n".join(["Changes to approve:", *changes]) if changes else "",
        "\n".join(["Why it needs approval:", *reasons]) if reasons else "",
        f"Review and decide until {until}:\n{link}",
        _LINK_NOTE,
        f"Approval {approval.approval_id}, run {approval.run_id}",
    ]
    html = _environment.get_template("approval.html").render(
        approval=approval, changes=shown, more=more, link=link, until=until
    )
    return MailBody(
        subject=one_line(f"[Tocsin] {kind.opening}: {approval.question}", _SUBJECT),
        text="\n\n".join(part for part in parts if part) + "\n",
        html=html,
    )


def task_mail(task: TaskRow) -> MailBody:
    """Return the mail about a task. It has no link, because nothing is decided by it."""
    summary, kind = lines(task.summary, _TASK), one_line(task.kind, 80).replace("_", " ")
    subject = one_line(task.subject, 200)
    details = f"Task {task.id}, subject {subject}, open since {format_time(task.opened_at)}"
    html = _environment.get_template("task.html").render(
        kind=kind, summary=summary, details=details
    )
    return MailBody(
        subject=one_line(f"[Tocsin] {kind}: {summary}", _SUBJECT),
        text=f"{summary}\n\n{details}\n",
        html=html,
    )


def addressed(
    mail: MailBody, *, sender: str, to: str, notification_id: str, now: datetime
) -> EmailMessage:
    """Return the mail as it is sent.

    A notification keeps its Message-ID, so that mail programs show a repeated mail once.
    """
    message = EmailMessage(policy=SMTP)
    message["Subject"] = one_line(mail.subject, _SUBJECT)
    message["From"] = f"Tocsin <{sender}>"
    message["To"] = to
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{notification_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # so that no out-of-office reply is sent
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message
