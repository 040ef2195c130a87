"""Plain text for people, from text that an attacker may have written."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"(?i)\bhttp(s?)://")
_DOT = re.compile(r"(?<=\w)\.(?=(?:[^\W\d_]{2,}|xn--[a-z0-9-]+)(?![\w-]))")
_REPLACEMENT = "\ufffd"


def one_line(text: str, most: int) -> str:
    """Return the text on one line of at most `most` characters.

    White space becomes a space. Invisible and direction-changing characters become U+FFFD.
    """
    return _cut("".join(_safe(character) for character in " ".join(text.split())), most)


def lines(text: str, most: int) -> str:
    """Return the text as `one_line` does, with its line breaks."""
    kept = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _cut("\n".join(one_line(line, most) for line in kept), most)


def _safe(character: str) -> str:
    return character if character.isprintable() else _REPLACEMENT


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def defang(text: str) -> str:
    """Return the text without anything that a program turns into a link: `hxxps://evil[.]example`.

    Addresses such as 198.51.100.7 stay as they are.
    """
    return _DOT.sub("[.]", _SCHEME.sub(r"hxxp\1://", text))
