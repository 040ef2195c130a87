"""Errors of YAML syntax in our own words: what is wrong, in the line where it is, and the fix."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ruamel.yaml.error import MarkedYAMLError

_ALIGN = "check that this line and those above it start in the same column"


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """An error of syntax, with line and column from 1."""

    line: int
    column: int
    message: str
    fix: str | None = None


def explain_syntax_error(error: MarkedYAMLError, text: str) -> SyntaxProblem:
    """Return what is wrong with a text that the parser refuses."""
    lines = text.splitlines()
    line, column = _place(error.problem_mark or error.context_mark)
    began, beginning = _place(error.context_mark or error.problem_mark)
    problem = str(error.problem or "")
    if "'\\t'" in problem:
        return SyntaxProblem(line, column, "a tab", "use spaces")
    if "could not find expected ':'" in problem:
        return _missing_colon(lines, began) or SyntaxProblem(line, column, "a key without its ':'")
    if "mapping values are not allowed" in problem:
        return _unexpected_colon(lines, line, column)
    if "unexpected end of stream" in problem and "quoted" in str(error.context):
        return SyntaxProblem(began, beginning, "a quote is not closed", "add the closing quote")
    if "expected ',' or" in problem:
        closing = "]" if "']'" in problem else "}"
        opening = {"]": "[", "}": "{"}[closing]
        fix = f"add `{closing}`, or a comma between two items"
        return SyntaxProblem(began, beginning, f"a `{opening}` is not closed", fix)
    if found := re.search(r"character '(.)' that cannot start", problem):
        message = f"a value cannot start with {found[1]}"
        return SyntaxProblem(line, column, message, "quote it: '...'")
    if "unknown escape character" in problem:
        fix = "use single quotes, in which a backslash is a backslash"
        return SyntaxProblem(line, column, "an unknown escape in double quotes", fix)
    if "sequence entries are not allowed" in problem:
        fix = "start the item in a line of its own, or write the list as [a, b]"
        return SyntaxProblem(line, column, "a list item behind a key", fix)
    if "<block end>" in problem or "<document start>" in problem:
        return SyntaxProblem(line, column, "this line does not fit the block around it", _ALIGN)
    return SyntaxProblem(line, column, " ".join(filter(None, [error.context, problem])))


def _place(mark: object) -> tuple[int, int]:
    """Return line and column of a mark, from 1."""
    return getattr(mark, "line", 0) + 1, getattr(mark, "column", 0) + 1


_ITEM = re.compile(r"^(\s*(?:- +)*)(\S+)")
_KEY = re.compile(r"^\s*(?:- +)*[^\s:'\"{\[][^:]*:(?:\s|$)")


def _missing_colon(lines: list[str], number: int) -> SyntaxProblem | None:
    """Return the problem of a line that has a word and no colon; None for any other line."""
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    found = _ITEM.match(line)
    if found is None or _KEY.match(line):
        return None
    word = re.split(r"[{\[]", found[2])[0] or found[2]
    column = len(found[1]) + len(word) + 1
    return SyntaxProblem(
        number, column, f"missing ':' after {word[:60]!r}", f"write `{word[:60]}:`"
    )


def _unexpected_colon(lines: list[str], number: int, column: int) -> SyntaxProblem:
    line = lines[number - 1] if number <= len(lines) else ""
    if _KEY.match(line[: column - 1]):
        message = "a second ': ' in one line"
        return SyntaxProblem(number, column, message, "quote the value: '...'")
    above = next((at for at in range(number - 1, 0, -1) if _is_content(lines[at - 1])), 0)
    if above and (missing := _missing_colon(lines, above)):
        return missing
    message = "this line is indented below a key that has a value already"
    indent = len(line) - len(line.lstrip()) + 1
    return SyntaxProblem(number, indent, message, _ALIGN)


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
