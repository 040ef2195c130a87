"""Slack: the messages that ask for a decision, and the signature on the clicks that answer them."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from connectors.sdk.transport import Access
from connectors.slack.connector import Slack
from connectors.slack.text import escape
from orchestrator.briefing.plain_text import one_line, quoted_lines
from orchestrator.briefing.text import ApprovalText, ChangeText, Row, format_time
from orchestrator.connections import credentials
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.notification import NotificationKind
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import ConnectionRow

JsonObject = dict[str, Any]
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How far the time of a click may differ from this machine's clock."""
_SHOWN_CHANGES = 10
"""The most changes that one message shows. A longer approval gets no buttons."""
_BLOCK_TEXT, _PREVIEW = 2900, 150


async def load_signing_secret(rt: Runtime) -> SecretStr | None:
    """Return the secret that Slack signs clicks with; None if it is not configured.

    Nothing else of the connection is used, and no connection is opened.
    """
    name = rt.settings.slack_connection
    async with rt.store.read() as session:
        row = await records.get(session, ConnectionRow, name)
    if row is None or row.connector != Slack.name:
        return None
    secret = credentials.open_credentials(
        rt.secrets, name, row.connector, row.settings, row.secrets, Access.READ
    )
    value = secret.get("signing_secret")
    return SecretStr(value) if value else None


def is_authentic(secret: str, timestamp: str, body: bytes, signature: str, now: datetime) -> bool:
    """Return whether Slack signed these bytes within the last minutes (signature version v0)."""
    if not timestamp.isdecimal() or not timestamp.isascii() or len(timestamp) > 12:
        return False
    signed = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.digest(secret.encode(), signed, "sha256").hex()
    difference = abs(now.timestamp() - int(timestamp))
    return (
        hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
        and difference <= MAX_CLOCK_DIFFERENCE.total_seconds()
    )


def request_blocks(approval: ApprovalText, kind: NotificationKind) -> tuple[list[JsonObject], str]:
    """Return the blocks that ask for a decision, and the preview line.

    Buttons appear only where the message shows all that a decision covers.
    """
    severity = f" ({approval.severity})" if approval.severity else ""
    opening = f"{kind.opening}{severity}:"
    heading = f"{opening} {approval.question}"
    blocks = [_section(f"{opening}\n{quoted_lines(approval.question)}")]
    changes = ["\n".join([_change(change), *_rows(change.rows)]) for change in approval.changes]
    blocks += [_section(text) for text in changes[:_SHOWN_CHANGES]]
    blocks += [
        _section("\n".join([section.title, *_rows(section.rows)])) for section in approval.sections
    ]
    until = format_time(approval.expires_at)
    blocks.append(
        _section(f"Until {until}. Approval {approval.approval_id}, run {approval.run_id}.")
    )
    is_whole = len(changes) <= _SHOWN_CHANGES and all(map(_fits, changes))
    if approval.form is not None or not is_whole:
        blocks.append(
            _section(
                "Buttons cannot answer this approval: use the link in the mail, or"
                " `tocsin approval`."
            )
        )
    else:
        blocks.append(
            {"type": "actions", "elements": [_button(approval, *each) for each in _BUTTONS]}
        )
    return blocks, one_line(heading, _PREVIEW)


def outcome_blocks(approval: ApprovalText, outcome: str) -> tuple[list[JsonObject], str]:
    """Return what replaces a request once it is over: the question and the outcome, no buttons."""
    return [_section(quoted_lines(approval.question)), _section(outcome)], one_line(
        outcome, _PREVIEW
    )


def text_blocks(text: str) -> tuple[list[JsonObject], str]:
    """Return a message of plain text."""
    return [_section(text)], one_line(text, _PREVIEW)


_BUTTONS = (
    (DecisionType.APPROVE, "Approve", "primary"),
    (DecisionType.DECLINE, "Decline", "danger"),
)


def _button(approval: ApprovalText, decision: DecisionType, label: str, style: str) -> JsonObject:
    return {
        "type": "button",
        "action_id": decision.value,
        "text": {"type": "plain_text", "text": label},
        "style": style,
        "value": f"{approval.approval_id} {approval.digest}",
    }


def _change(change: ChangeText) -> str:
    return f"{change.action} on {change.target}: {change.summary}"


def _rows(rows: Iterable[Row]) -> Iterator[str]:
    return (f"  {row.label}: {row.value}" for row in rows)


def _fits(text: str) -> bool:
    return len(escape(text)) <= _BLOCK_TEXT


def _section(text: str) -> JsonObject:
    safe = escape(text)
    shown = safe if _fits(text) else f"{safe[:_BLOCK_TEXT]}..."
    return {"type": "section", "text": {"type": "plain_text", "text": shown, "emoji": False}}
