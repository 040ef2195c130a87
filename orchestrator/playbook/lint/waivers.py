"""Waivers: comments with which an author allows a finding in place.

`# tocsin: allow RULE because REASON`, on the line of the finding or of its step, or directly above.
Comments are not part of the plan, so a waiver does not change the digest of a playbook.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.events import ScalarEvent

from orchestrator.playbook.lint.rule import LintFinding
from orchestrator.playbook.problems import did_you_mean

WITHOUT_REASON = "waiver-without-reason"
UNUSED = "waiver-unused"

_WAIVER = re.compile(r"(?:^|(?<=\s))#[ \t]*tocsin:[ \t]*allow\b(?P<rest>[^\n]*)", re.MULTILINE)
_REST = re.compile(r"\s+(?P<rule>[a-z][a-z-]*)(?:\s+because\s+(?P<reason>\S.*))?\s*")
_ONLY_A_COMMENT = re.compile(r"\s*#")


@dataclass(frozen=True, slots=True)
class Waiver:
    """A waiver comment."""

    line: int
    column: int
    rule: str  # empty if it names none
    reason: str | None
    lines: frozenset[int]  # to which it applies


def read_waivers(text: str) -> tuple[Waiver, ...]:
    """Return the waivers in a text that is valid YAML."""
    inside = list(_scalars(text))
    return tuple(
        _waiver(text, match)
        for match in _WAIVER.finditer(text)
        if not any(start <= match.start() < end for start, end in inside)
    )


def apply_waivers(
    findings: Iterable[LintFinding],
    text: str,
    file: str,
    steps: dict[str, int],
    rules: frozenset[str],
) -> tuple[LintFinding, ...]:
    """Return the findings that are not waived, and the findings about waivers.

    `steps` holds the line of each step.
    """
    all_waivers = read_waivers(text)
    valid = [waiver for waiver in all_waivers if waiver.reason and waiver.rule in rules]
    remaining: list[LintFinding] = []
    used: set[Waiver] = set()
    for finding in findings:
        lines = {finding.line, steps.get(finding.step or "", finding.line)}
        matching = [
            waiver for waiver in valid if waiver.rule == finding.rule and waiver.lines & lines
        ]
        used |= set(matching)
        remaining += [] if matching else [finding]
    return (
        *remaining,
        *(_waiver_finding(waiver, file, rules) for waiver in all_waivers if waiver not in used),
    )


def _waiver(text: str, match: re.Match[str]) -> Waiver:
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
    rest = _REST.fullmatch(match["rest"])
    rule, reason = (rest["rule"], rest["reason"]) if rest else ("", None)
    return Waiver(line, column, rule, reason, frozenset(_lines_below(text.split("\n"), line)))


def _lines_below(lines: list[str], line: int) -> Iterator[int]:
    """Yield the line of a waiver; a lone comment also applies to the first line below it."""
    yield line
    while line < len(lines) and _ONLY_A_COMMENT.match(lines[line - 1]):
        line += 1
        yield line


def _waiver_finding(waiver: Waiver, file: str, rules: frozenset[str]) -> LintFinding:
    if waiver.rule in rules and waiver.reason is None:
        rule, message, fix = (
            WITHOUT_REASON,
            f"{waiver.rule} is allowed without a reason",
            "add: because REASON",
        )
    elif waiver.rule in rules:
        rule, message, fix = (
            UNUSED,
            f"{waiver.rule} finds nothing here",
            "remove the comment, or move it to the finding",
        )
    else:
        message = f"unknown rule {waiver.rule!r}" if waiver.rule else "this waiver cannot be parsed"
        rule, fix = (
            UNUSED,
            did_you_mean(waiver.rule, rules) or "write: tocsin: allow RULE because REASON",
        )
    return LintFinding(
        file=file,
        line=waiver.line,
        column=waiver.column,
        step=None,
        rule=rule,
        message=message,
        fix=fix,
    )


def _scalars(text: str) -> Iterator[tuple[int, int]]:
    """Yield where values start and end, because a # inside of one is text.

    Comments after the `|` of a block, and below the block, stay comments.
    """
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, ScalarEvent):
            start, end = event.start_mark.index, event.end_mark.index
            if event.style in {"|", ">"}:
                start = text.find("\n", start) + 1 or len(text)
                end = _end_of_block(text, start)
            yield start, end


def _end_of_block(text: str, start: int) -> int:
    """Return the end of a block: the first line that is indented less than its first one."""
    indent: int | None = None
    for line in text[start:].splitlines(keepends=True):
        blank = not line.strip()
        depth = len(line) - len(line.lstrip(" "))
        if not blank and indent is not None and depth < indent:
            return start
        indent = depth if indent is None and not blank else indent
        start += len(line)
    return start
