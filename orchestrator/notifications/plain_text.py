"""How is text shown that an attacker may have written? With nothing that hides, turns around or ends a line, and not too long."""

from __future__ import annotations

_STRANGE = "\ufffd"


def one_line(text: str, most: int) -> str:
    """On one line: white space becomes a space; what shows nothing or turns the text around becomes U+FFFD."""
    return _cut("".join(_safe(character) for character in " ".join(text.split())), most)


def lines(text: str, most: int) -> str:
    """As `one_line`, with the lines kept."""
    kept = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return _cut("\n".join(one_line(line, most) for line in kept), most)


def _safe(character: str) -> str:
    return character if character.isprintable() else _STRANGE


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
