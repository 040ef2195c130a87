"""How text is shown in Slack as text: no mention, link, markup or emoji can come out of what an attacker wrote."""

from __future__ import annotations

from typing import Any

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LONGEST_BLOCK = 3000  # characters of a text object
_LONGEST_NOTICE = 3000  # characters of the line that notifications and screen readers get


def escaped(text: str) -> str:
    """Slack's three control characters as entities; what shows nothing or turns the text around is replaced."""
    return "".join(map(_safe, text.replace("\r\n", "\n").replace("\r", "\n")))


def message(text: str) -> dict[str, Any]:
    """The text as plain-text blocks, with what else keeps Slack from reading anything into it."""
    blocks = [
        {"type": "section", "text": {"type": "plain_text", "text": piece, "emoji": False}}
        for piece in pieces(text)
    ]
    return {
        "text": pieces(text)[0][:_LONGEST_NOTICE],
        "blocks": blocks,
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def pieces(text: str) -> list[str]:
    """The escaped text in pieces of at most 3,000 characters; no entity is cut in two. At least one piece."""
    found, piece = [], ""
    for character in text.replace("\r\n", "\n").replace("\r", "\n"):
        safe = _safe(character)
        if len(piece) + len(safe) > _LONGEST_BLOCK:
            found.append(piece)
            piece = ""
        piece += safe
    return [*found, piece] if piece else found or ["\ufffd"]


def _safe(character: str) -> str:
    if character in "\n\t":
        return character
    return _ESCAPES.get(character, character if character.isprintable() else "\ufffd")
