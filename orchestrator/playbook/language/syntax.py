"""The expressions that may stand inside `${{ }}`: Jinja2 parses them, and nothing is ever compiled.

Jinja's tree is converted to our own by `whitelist`, which refuses what it does not list.

Why not a library: CEL and JMESPath have a syntax of their own, which authors who know Ansible or
Home Assistant do not expect inside of `${{ }}`. Jinja's own sandbox compiles to Python and looks up
attributes, and attackers have escaped from it before. Its parser alone is small and maintained, and
runs nothing.
"""

from __future__ import annotations

from functools import lru_cache

import jinja2
from jinja2.parser import Parser

from orchestrator.playbook.language.ast import ExpressionError, Node
from orchestrator.playbook.language.whitelist import convert

MAX_SOURCE = 4_000  # characters of one expression
MAX_BRACKETS = 16  # keeps Jinja's recursive parser far below Python's recursion limit

_ENVIRONMENT = jinja2.Environment(autoescape=False)  # noqa: S701  only parses, never renders


@lru_cache(maxsize=8_192)
def parse(source: str) -> Node:
    """Return the tree of one bare expression. Raises ExpressionError for what is not allowed."""
    if len(source) > MAX_SOURCE:
        message = f"an expression of more than {MAX_SOURCE} characters"
        raise ExpressionError(message, "split it over several steps")
    if not source.strip():
        message = "an empty expression"
        raise ExpressionError(message)
    _refuse_before_parsing(source)
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            message = f"{_short(source)} is not one expression: text follows a complete one"
            fix = "compare with `==`" if parser.stream.current.type == "assign" else None
            raise ExpressionError(message, fix)
    except (jinja2.TemplateError, RecursionError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        message = f"{_short(source)} is not an expression: {reason}"
        raise ExpressionError(message) from error
    return convert(tree)


def scan(text: str, start: int) -> int:
    """Return the index of the `}}` that ends the expression from `start` on, or -1.

    A `}}` inside of a string or of brackets does not end it.
    """
    depth = 0
    index = start
    while index < len(text):
        character = text[index]
        if character in "'\"":
            index = _end_of_string(text, index)
            if index < 0:
                return -1
        elif character in "([{":
            depth += 1
        elif character == "}" and depth == 0:
            return index if text.startswith("}}", index) else -1
        elif character in ")]}":
            depth -= 1
        index += 1
    return -1


def _end_of_string(text: str, start: int) -> int:
    index = start + 1
    while index < len(text) and text[index] != text[start]:
        index += 2 if text[index] == "\\" else 1
    return index if index < len(text) else -1


_ESCAPES = "\\'\"nrt"


def _refuse_before_parsing(source: str) -> None:
    """Bound the parser's recursion, and refuse escapes that Python's decoder would misread."""
    depth = 0
    index = 0
    while index < len(source):
        character = source[index]
        if character in "'\"":
            end = _end_of_string(source, index)
            _refuse_escapes(source[index : end if end >= 0 else len(source)])
            index = end if end >= 0 else len(source)
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_BRACKETS:
            message = f"brackets nested more than {MAX_BRACKETS} deep"
            raise ExpressionError(message, "split it over several steps")
        index += 1


def _refuse_escapes(literal: str) -> None:
    index = literal.find("\\")
    while index >= 0:
        if index + 1 < len(literal) and literal[index + 1] not in _ESCAPES:
            message = f"unknown escape {literal[index : index + 2]} in a text"
            fix = "write \\\\ for a backslash; the other escapes are \\n \\r \\t \\' \\\""
            raise ExpressionError(message, fix)
        index = literal.find("\\", index + 2)


def _short(source: str) -> str:
    return f"`{source.strip()}`" if len(source) <= 80 else f"`{source.strip()[:77]}...`"
