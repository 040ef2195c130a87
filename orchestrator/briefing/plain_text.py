"""Plain text for people, from text that an attacker may have written."""

from __future__ import annotations

import re

from orchestrator.briefing.look_alikes import show_look_alikes

_SCHEME = re.compile(r"(?i)\bhttp(s?)://")
_DOT = re.compile(r"(?<=\w)\.(?=(?:[^\W\d_]{2,}|xn--[a-z0-9-]+)(?![\w-]))")
_REPLACEMENT = "\ufffd"
_BLANK_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""Characters that count as letters, marks or symbols and show nothing."""
_STACKED = re.compile(r"(?<=[\u0300-\u036f]{3})[\u0300-\u036f]+")


def one_line(text: str, most: int) -> str:
    """Return the text on one line of at most `most` characters.

    White space becomes a space. Invisible and direction-changing characters become U+FFFD, and
    letters that pose as Latin ones their number: `p[U+0430]ypal`.
    """
    line = "".join(_safe(character) for character in " ".join(text[: most * 4].split()))
    plain = _STACKED.sub(_REPLACEMENT, _BLANK_LETTERS.sub(_REPLACEMENT, line))
    return _cut(show_look_alikes(plain), most)


def quoted(text: str, most: int) -> str:
    """Return text that others wrote, on one line, without links and in quotation marks.

    The marks end where the text does: those in it become plain ones.
    """
    inner = defang(one_line(text, most)).translate({ord("“"): '"', ord("”"): '"'})
    return f"“{inner}”"


def quoted_lines(text: str) -> str:
    """Return lines with a mark before each, so that none passes for one of Tocsin's own."""
    return "\n".join(f"> {line}" for line in text.split("\n"))


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
