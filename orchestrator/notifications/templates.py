"""Mails: subject, text, and HTML that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestrator.briefing.plain_text import defang, lines, one_line, quoted_lines
from orchestrator.briefing.text import ApprovalText, ChangeText, Section, format_time
from orchestrator.domain.model import Frozen
from orchestrator.domain.notification import NotificationKind
from orchestrator.store.tables import KeyRow, TaskRow

_SUBJECT = 120
SUBJECT_LENGTH = 78
"""The characters that mail programs show of a subject, and that RFC 5322 recommends for a line."""
_SHOWN_CHANGES = 20
"""The most changes that a mail lists; the page lists all."""
_TASK = 4000
LINK_NOTE = (
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


def render(template: str, **values: object) -> str:
    """Return the HTML of a template of this package, in which every value is escaped."""
    return _environment.get_template(template).render(**values)


def approval_mail(approval: ApprovalText, kind: NotificationKind, link: str) -> MailBody:
    """Return the mail that asks for a decision."""
    shown = approval.changes[:_SHOWN_CHANGES]
    more = max(0, len(approval.changes) - _SHOWN_CHANGES)
    until = format_time(approval.expires_at)
    changes = [line for change in shown for line in _change_lines(change)]
    if more:
        changes.append(f"- and {more} more on the page")
    parts = [
        quoted_lines(approval.question),
        "\n".join(["Changes to approve:", *changes]) if changes else "",
        *(_section_text(section) for section in approval.sections),
        f"Review and decide until {until}:\n{link}",
        LINK_NOTE,
        f"Approval {approval.approval_id}, run {approval.run_id}",
    ]
    html = render(
        "approval.html", approval=approval, changes=shown, more=more, link=link, until=until
    )
    return MailBody(
        subject=approval_subject(approval, kind),
        text="\n\n".join(part for part in parts if part) + "\n",
        html=html,
    )


def approval_subject(approval: ApprovalText, kind: NotificationKind) -> str:
    """Return a subject that a list of mails shows whole: the severity, then the question."""
    severity = f"{approval.severity}: " if approval.severity else ""
    opening = "" if kind is NotificationKind.ASKED else f"{kind.opening}: "
    return one_line(f"[Tocsin] {severity}{opening}{approval.question}", SUBJECT_LENGTH)


def _change_lines(change: ChangeText) -> Iterator[str]:
    yield f"- {change.action} on {change.target}: {change.summary}"
    yield from (f"  {row.label}: {row.value}" for row in change.rows)


def _section_text(section: Section) -> str:
    return "\n".join(
        [f"{section.title}:", *(f"- {row.label}: {row.value}" for row in section.rows)]
    )


def task_mail(task: TaskRow) -> MailBody:
    """Return the mail about a task. It has no link, because nothing is decided by it."""
    summary = defang(lines(task.summary, _TASK))
    kind = one_line(task.kind, 80).replace("_", " ")
    subject = defang(one_line(task.subject, 200))
    details = f"Task {task.id}, subject {subject}, open since {format_time(task.opened_at)}"
    html = render("text.html", kind=kind, summary=summary, details=details, link=None)
    return MailBody(
        subject=one_line(f"[Tocsin] {kind}: {summary}", _SUBJECT),
        text=f"{summary}\n\n{details}\n",
        html=html,
    )


def key_mail(key: KeyRow, link: str) -> MailBody:
    """Return the mail about a new key of its reader. `link`: to receive it; or empty."""
    maker = one_line(key.created_by.removeprefix("person:"), 100)
    lasts = f" It expires {format_time(key.expires_at)}." if key.expires_at else ""
    summary = (
        f"{maker} made an API key for you ({one_line(key.person, 100)}), with the roles "
        f"{', '.join(key.roles)}.{lasts} If you did not expect it, have another admin revoke it: "
        f"tocsin key revoke {key.id}"
    )
    details = f"Key {key.id}"
    parts = [summary]
    if link and key.enrolment_expires_at:
        until = format_time(key.enrolment_expires_at)
        details = f"The link shows the key once, until {until}. Do not forward this mail. {details}"
        parts.append(f"Receive it:\n{link}\nor: tocsin key enrol {link}")
    html = render(
        "text.html", kind="New API key", summary=summary, details=details, link=link or None
    )
    return MailBody(
        subject="[Tocsin] New API key", text="\n\n".join([*parts, details]) + "\n", html=html
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
