"""What is said in Slack, and is a click truly Slack's? Messages with buttons; the signature over the raw body."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Any

from connectors.sdk.http import Access
from connectors.slack.connector import Slack
from connectors.slack.direct import DirectMessages
from connectors.slack.text import escaped
from orchestrator.connections.connections import open_connection_for
from orchestrator.domain.errors import Rejected
from orchestrator.notifications.approval_text import Question, moment
from orchestrator.notifications.plain_text import one_line
from orchestrator.runtime import Runtime

JsonObject = dict[str, Any]
OFTEN = timedelta(minutes=5)
"""How far a click's time may lie from ours."""
_SHOWN = 10
"""Changes that a message lists; who is asked about more answers on the page, where all of them can be read."""
_TEXT, _NOTIFICATION = 2900, 150


async def opened(rt: Runtime, access: Access) -> Slack:
    """The connector by which people are asked. Raises NotFound, or Rejected where the connection is no Slack."""
    found = await open_connection_for(rt, rt.settings.slack_connection, access)
    if not isinstance(found, Slack):
        raise Rejected(
            f"the connection {rt.settings.slack_connection!r} is no Slack; name one with slack_connection"
        )
    return found


async def direct(rt: Runtime) -> DirectMessages:
    """The way to write to people. Raises as `opened`."""
    return DirectMessages((await opened(rt, Access.WRITE)).http)


def authentic(secret: str, timestamp: str, body: bytes, signature: str, now: datetime) -> bool:
    """Whether Slack signed these very bytes, not longer ago than a few minutes (signature version v0)."""
    if not timestamp.isdecimal() or not timestamp.isascii() or len(timestamp) > 12:
        return False
    expected = (
        "v0="
        + hmac.digest(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, "sha256").hex()
    )
    fresh = abs(now.timestamp() - int(timestamp)) <= OFTEN.total_seconds()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")) and fresh


def asking(question: Question, kind: str) -> tuple[list[JsonObject], str]:
    """The blocks that ask, and the line that a notification shows. Buttons only where all that they agree with is shown."""
    opening = {"reminder": "Still open: ", "escalated": "Passed on to you: "}.get(kind, "")
    blocks = [_section(opening + question.text)]
    blocks += [
        _section(f"{change.deed} on {change.target}: {change.summary}")
        for change in question.changes[:_SHOWN]
    ]
    if question.reasons:
        blocks.append(_section("Why you are asked: " + "; ".join(question.reasons)))
    blocks.append(
        _section(
            f"Until {moment(question.expires_at)}. Approval {question.approval_id}, run {question.run_id}."
        )
    )
    if question.form is not None or len(question.changes) > _SHOWN:
        blocks.append(
            _section(
                "This takes more than a button: answer by the link in the mail, or with `tocsin approval`."
            )
        )
    else:
        blocks.append(
            {"type": "actions", "elements": [_button(question, *each) for each in _BUTTONS]}
        )
    return blocks, one_line(opening + question.text, _NOTIFICATION)


def answered(question: Question, said: str) -> tuple[list[JsonObject], str]:
    """What stands in its place once it is over: the question, what it came to, and no button."""
    return [_section(question.text), _section(said)], one_line(said, _NOTIFICATION)


def telling(text: str) -> tuple[list[JsonObject], str]:
    """Plain news."""
    return [_section(text)], one_line(text, _NOTIFICATION)


_BUTTONS = (("approve", "Approve", "primary"), ("decline", "Decline", "danger"))


def _button(question: Question, action: str, label: str, style: str) -> JsonObject:
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": label},
        "style": style,
        "value": f"{question.approval_id} {question.digest}",
    }


def _section(text: str) -> JsonObject:
    safe = escaped(text)
    return {
        "type": "section",
        "text": {
            "type": "plain_text",
            "text": safe if len(safe) <= _TEXT else f"{safe[:_TEXT]}...",
            "emoji": False,
        },
    }
