"""Messages about a batch: how much is asked, the first questions, and the way to all of them."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.briefing.batch import BatchText
from orchestrator.briefing.plain_text import one_line
from orchestrator.briefing.text import ApprovalText, format_time
from orchestrator.domain.notification import NotificationKind
from orchestrator.notifications.slack import JsonObject, text_blocks
from orchestrator.notifications.templates import (
    LINK_NOTE,
    SUBJECT_LENGTH,
    MailBody,
    render,
)

SHOWN = 20
"""The most questions that a message lists; the page lists all."""
_TARGETS, _QUESTION = 3, 200


def batch_mail(batch: BatchText, kind: NotificationKind, link: str) -> MailBody:
    """Return the mail about a batch. Each question that it lists has its place on the page."""
    shown, more = batch.approvals[:SHOWN], max(0, len(batch.approvals) - SHOWN)
    until = format_time(batch.expires_at)
    listed = [f"- {_summary(each)}\n  {link}#{each.approval_id}" for each in shown]
    parts = [
        _heading(batch),
        "\n".join([*listed, *([f"- and {more} more on the page"] if more else [])]),
        f"Review and decide all of them until {until}:\n{link}",
        LINK_NOTE,
        f"Batch {batch.batch_id}",
    ]
    lines = [(each.approval_id, _summary(each)) for each in shown]
    html = render(
        "batch.html",
        heading=_heading(batch),
        lines=lines,
        more=more,
        link=link,
        until=until,
        batch_id=batch.batch_id,
    )
    return MailBody(subject=_subject(batch, kind), text="\n\n".join(parts) + "\n", html=html)


def batch_blocks(batch: BatchText, kind: NotificationKind) -> tuple[list[JsonObject], str]:
    """Return the Slack message about a batch. It has no buttons: it does not show each change."""
    return text_blocks("\n".join([f"{kind.opening}: {_heading(batch)}", *_slack_lines(batch)]))


def batch_over_blocks(batch_id: str) -> tuple[list[JsonObject], str]:
    """Return what replaces the Slack message once nothing in the batch is pending."""
    return text_blocks(f"Batch {batch_id}: every question is answered or over.")


def _slack_lines(batch: BatchText) -> Iterator[str]:
    # Short enough for one block with the longest targets.
    yield from (f"- {_summary(each)[:100]}" for each in batch.approvals[:SHOWN])
    if len(batch.approvals) > SHOWN:
        yield f"- and {len(batch.approvals) - SHOWN} more"
    yield (
        f"Until {format_time(batch.expires_at)}. Use the link in the mail, or "
        f"`tocsin approval approve {batch.batch_id}`."
    )


def _heading(batch: BatchText) -> str:
    return (
        f"{len(batch.approvals)} questions of {batch.playbook}, step {batch.step}, for alerts of "
        f"{batch.source}:"
    )


def _summary(approval: ApprovalText) -> str:
    """Return a question in one line: what its changes are about, or else its own words."""
    targets = [f"{change.action} on {change.target}" for change in approval.changes]
    named = ", ".join(targets[:_TARGETS])
    more = f" and {len(targets) - _TARGETS} more changes" if len(targets) > _TARGETS else ""
    severity = f"{approval.severity}: " if approval.severity else ""
    return f"{severity}{named}{more}" if named else f"{severity}{_quoted(approval.question)}"


def _quoted(question: str) -> str:
    return f"“{one_line(question, _QUESTION)}”"


def _subject(batch: BatchText, kind: NotificationKind) -> str:
    severity = f"{batch.severity}: " if batch.severity else ""
    opening = "" if kind is NotificationKind.ASKED else f"{kind.opening}: "
    count = f"{len(batch.approvals)} questions of {batch.playbook}"
    return one_line(f"[Tocsin] {severity}{opening}{count}", SUBJECT_LENGTH)
