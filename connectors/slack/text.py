"""Plain text for Slack: an attacker's text cannot become a mention, link, markup or emoji."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.domain.errors import Rejected

_BROADCASTS = frozenset({"here", "channel", "everyone"})
_PERSON = re.compile(r"[UW][A-Z0-9]{2,30}", re.ASCII)
_GROUP = re.compile(r"S[A-Z0-9]{2,30}", re.ASCII)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LONGEST_BLOCK = 3000  # characters of a text object
_LONGEST_FALLBACK = 3000  # characters of the text for notifications and screen readers


def escape(text: str) -> str:
    """Return the text with Slack's control characters as entities.

    Characters that are invisible or change the direction of the text are replaced.
    """
    return "".join(map(_safe, text.replace("\r\n", "\n").replace("\r", "\n")))


def mention(identity: str) -> str:
    """Return the markup that mentions `here`, `channel`, `everyone`, a person or a group by id.

    Raises Rejected for anything else.
    """
    if identity in _BROADCASTS:
        return f"<!{identity}>"
    if _PERSON.fullmatch(identity):
        return f"<@{identity}>"
    if _GROUP.fullmatch(identity):
        return f"<!subteam^{identity}>"
    reason = f"{identity[:80]!r} is not an id of Slack"
    fix = "write here, channel, everyone, a user id (U...) or a user group's id (S...)"
    raise Rejected(f"mention: {reason}; {fix}")


def message(text: str, mentions: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a message of plain-text blocks, with every interpretation of the text turned off.

    `mentions`: markup by `mention`, which stands in a block of its own.
    """
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "plain_text", "text": piece, "emoji": False}}
        for piece in split_text(text)
    ]
    if mentions:
        named = {"type": "mrkdwn", "text": " ".join(mentions), "verbatim": True}
        blocks.insert(0, {"type": "section", "text": named})
    return {
        "text": split_text(text)[0][:_LONGEST_FALLBACK],
        "blocks": blocks,
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def split_text(text: str) -> list[str]:
    """Return the escaped text in one or more pieces of at most 3,000 characters.

    No entity is split.
    """
    full, piece = [], ""
    for character in text.replace("\r\n", "\n").replace("\r", "\n"):
        safe = _safe(character)
        if len(piece) + len(safe) > _LONGEST_BLOCK:
            full.append(piece)
            piece = ""
        piece += safe
    return [*full, piece] if piece else full or ["\ufffd"]


def _safe(character: str) -> str:
    if character in "\n\t":
        return character
    return _ESCAPES.get(character, character if character.isprintable() else "\ufffd")
