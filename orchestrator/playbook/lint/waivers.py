"""How an author allows a finding in place: `# tocsin: allow RULE because REASON`, on its line or the step's, or right above.

Comments are no part of the plan, so that a waiver does not change a playbook's digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.events import ScalarEvent

from orchestrator.playbook.lint.finding import Finding
from orchestrator.playbook.problems import did_you_mean

WITHOUT_REASON = "waiver-without-reason"
UNUSED = "waiver-unused"

_WAIVER = re.compile(r"(?:^|(?<=\s))#[ \t]*tocsin:[ \t]*allow\b(?P<rest>[^\n]*)", re.MULTILINE)
_REST = re.compile(r"\s+(?P<rule>[a-z][a-z-]*)(?:\s+because\s+(?P<reason>\S.*))?\s*")
_ONLY_A_COMMENT = re.compile(r"\s*#")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One comment. `lines`: those that it speaks of. `rule` is empty where it names none."""

    line: int
    column: int
    rule: str
    reason: str | None
    lines: frozenset[int]


def waivers(text: str) -> tuple[Waiver, ...]:
    """Those of a playbook's text, which has been read before."""
    inside = list(_scalars(text))
    return tuple(
        _waiver(text, match)
        for match in _WAIVER.finditer(text)
        if not any(start <= match.start() < end for start, end in inside)
    )


def waived(
    findings: Iterable[Finding], text: str, file: str, steps: dict[str, int], rules: frozenset[str]
) -> tuple[Finding, ...]:
    """What is left of the findings, and what is wrong with the waivers. `steps`: the line of each step."""
    there = waivers(text)
    sound = [waiver for waiver in there if waiver.reason and waiver.rule in rules]
    left: list[Finding] = []
    used: set[Waiver] = set()
    for finding in findings:
        lines = {finding.line, steps.get(finding.step or "", finding.line)}
        fitting = [
            waiver for waiver in sound if waiver.rule == finding.rule and waiver.lines & lines
        ]
        used |= set(fitting)
        left += [] if fitting else [finding]
    return (*left, *(_complaint(waiver, file, rules) for waiver in there if waiver not in used))


def _waiver(text: str, match: re.Match[str]) -> Waiver:
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
    rest = _REST.fullmatch(match["rest"])
    rule, reason = (rest["rule"], rest["reason"]) if rest else ("", None)
    return Waiver(line, column, rule, reason, frozenset(_spoken_of(text.split("\n"), line)))


def _spoken_of(lines: list[str], line: int) -> Iterator[int]:
    """Its own; a comment that stands alone speaks of the first line below that is none."""
    yield line
    while line < len(lines) and _ONLY_A_COMMENT.match(lines[line - 1]):
        line += 1
        yield line


def _complaint(waiver: Waiver, file: str, rules: frozenset[str]) -> Finding:
    if waiver.rule in rules and waiver.reason is None:
        rule, message, mend = (
            WITHOUT_REASON,
            f"{waiver.rule} is allowed without a reason",
            "go on with: because ...",
        )
    elif waiver.rule in rules:
        rule, message, mend = (
            UNUSED,
            f"there is nothing here for {waiver.rule} to find",
            "remove the comment, or move it to its place",
        )
    else:
        message = (
            f"there is no rule {waiver.rule!r}"
            if waiver.rule
            else "this allows nothing that can be made out"
        )
        rule, mend = (
            UNUSED,
            did_you_mean(waiver.rule, rules) or "write: tocsin: allow RULE because REASON",
        )
    return Finding(
        file=file,
        line=waiver.line,
        column=waiver.column,
        step=None,
        rule=rule,
        message=message,
        mend=mend,
    )


def _scalars(text: str) -> Iterator[tuple[int, int]]:
    """Where values stand, in which a # is text. Comments behind the `|` of a block stay comments, as do those below it."""
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, ScalarEvent):
            start, end = event.start_mark.index, event.end_mark.index
            if event.style in {"|", ">"}:
                start = text.find("\n", start) + 1 or len(text)
                end = _end_of_block(text, start)
            yield start, end


def _end_of_block(text: str, start: int) -> int:
    """A block ends at the first line that is indented less than its first one."""
    indent: int | None = None
    for line in text[start:].splitlines(keepends=True):
        blank = not line.strip()
        depth = len(line) - len(line.lstrip(" "))
        if not blank and indent is not None and depth < indent:
            return start
        indent = depth if indent is None and not blank else indent
        start += len(line)
    return start
