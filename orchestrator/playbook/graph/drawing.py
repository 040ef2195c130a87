"""Of what is a picture put together? Texts, lines and groups of SVG, each with the room that it takes; every text is escaped here."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

PAD, GAP, LINE = 12.0, 26.0, 16.0
LETTER, BOLD = 6.3, 7.4
LONGEST = 62
"""Letters of a line in a box."""


@dataclass(slots=True)
class Drawn:
    """Something laid out: its size, where the line comes in and goes out (x), and its elements from its own corner."""

    width: float
    height: float
    middle: float
    parts: list[str] = field(default_factory=list)


def placed(drawn: Drawn, x: float, y: float) -> str:
    """Moved to where it belongs."""
    return f'<g transform="translate({x:.1f} {y:.1f})">{"".join(drawn.parts)}</g>'


def stroke(
    x: float, y: float, to_x: float, to_y: float, *, dashed: bool = False, arrow: bool = True
) -> str:
    """A straight line, with an arrow at its end."""
    look = ' stroke-dasharray="4 3" stroke="#b91c1c"' if dashed else ' stroke="#475569"'
    end = ' marker-end="url(#a)"' if arrow else ""
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" fill="none"{look}{end}/>'


def written(
    text: str, x: float, y: float, kind: str, longest: int = LONGEST, *, struck: bool = False
) -> str:
    """One line of text."""
    strike = ' text-decoration="line-through"' if struck else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{strike}>{clean(shortened(text, longest))}</text>'


def shortened(text: str, longest: int = LONGEST) -> str:
    """One line; the whole stands in the title of the box."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def breadth(text: str) -> float:
    """About how much room a line takes."""
    return len(text) * LETTER


def clean(text: str) -> str:
    """Escaped, and without what XML cannot hold or what would turn the reading direction."""
    return escape(
        "".join(
            letter
            for letter in text
            if letter == "\n" or (letter.isprintable() and letter not in "\u200e\u200f")
        )
    )
