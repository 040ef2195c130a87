"""SVG elements with their sizes: texts, lines and groups. Every text is escaped here."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

PAD, GAP, LINE = 12.0, 26.0, 16.0
LETTER, BOLD = 6.3, 7.4
MAX_LETTERS = 62
"""Of a line in a box."""


@dataclass(slots=True)
class Drawing:
    """A part of a picture with its size and its elements."""

    width: float
    height: float
    middle: float  # x of the arrows that enter and leave
    parts: list[str] = field(default_factory=list)  # positioned from its top left corner


def place(drawn: Drawing, x: float, y: float) -> str:
    """Return a drawing as an element at a position."""
    return f'<g transform="translate({x:.1f} {y:.1f})">{"".join(drawn.parts)}</g>'


def draw_line(
    x: float, y: float, to_x: float, to_y: float, *, dashed: bool = False, arrow: bool = True
) -> str:
    """Return a straight line, with an arrow at its end."""
    look = ' stroke-dasharray="4 3" stroke="#b91c1c"' if dashed else ' stroke="#475569"'
    end = ' marker-end="url(#a)"' if arrow else ""
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" fill="none"{look}{end}/>'


def draw_text(
    text: str, x: float, y: float, kind: str, longest: int = MAX_LETTERS, *, struck: bool = False
) -> str:
    """Return one line of text as an element."""
    strike = ' text-decoration="line-through"' if struck else ""
    line = escape_text(shorten(text, longest))
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{strike}>{line}</text>'


def shorten(text: str, longest: int = MAX_LETTERS) -> str:
    """Return a text as one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def text_width(text: str) -> float:
    """Return the approximate width of a line."""
    return len(text) * LETTER


def escape_text(text: str) -> str:
    """Escape a text, without characters that XML cannot hold or that change reading direction."""
    return escape(
        "".join(
            letter
            for letter in text
            if letter == "\n" or (letter.isprintable() and letter not in "\u200e\u200f")
        )
    )
