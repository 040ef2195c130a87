"""Templates: texts that hold `${{ }}` expressions. `$${{` is a literal `${{`."""

from __future__ import annotations

from functools import lru_cache

from orchestrator.playbook.language.ast import ExpressionError, Node
from orchestrator.playbook.language.syntax import parse, scan

OPENING = "${{"


def is_template(text: str) -> bool:
    """Whether the text holds an expression, or an escaped one."""
    return OPENING in text


@lru_cache(maxsize=8_192)
def template_parts(template: str) -> tuple[str | Node, ...]:
    """Return the literal texts and expressions of a template, in order. Raises ExpressionError."""
    pieces: list[str | Node] = []
    literal = ""
    start = 0
    while (opening := template.find(OPENING, start)) >= 0:
        if template[opening - 1 : opening] == "$" and opening > start:
            literal += template[start : opening - 1] + OPENING
            start = opening + len(OPENING)
            continue
        closing = scan(template, opening + len(OPENING))
        if closing < 0:
            message = "a `${{` is not closed"
            raise ExpressionError(message, "add `}}`, or write $${{ for a literal ${{")
        literal += template[start:opening]
        pieces += ([literal] if literal else []) + [
            parse(template[opening + len(OPENING) : closing])
        ]
        literal = ""
        start = closing + 2
    literal += template[start:]
    return (*pieces, literal) if literal or not pieces else tuple(pieces)
