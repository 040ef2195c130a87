"""Test reports as an HTML page and as JUnit XML; texts are escaped, and no script runs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple
from xml.etree import ElementTree as ET

from jinja2 import Environment, StrictUndefined

from orchestrator.authoring.rehearsal.coverage import Coverage
from orchestrator.authoring.rehearsal.report import CaseReport, RehearsalReport

_environment = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


class SourceLine(NamedTuple):
    """One line of the playbook."""

    number: int
    text: str
    mark: str  # hit, part or miss; empty for a line that belongs to no step


def render_page(report: RehearsalReport, text: str, positions: dict[str, tuple[int, int]]) -> str:
    """Return the page of one playbook; `positions` holds line and column by step id."""
    template = _environment.from_string(
        resources.files("orchestrator.authoring.rehearsal").joinpath("page.html").read_text("utf-8")
    )
    lines = _lines(text, report.coverage, positions) if report.coverage else []
    return template.render(report=report, coverage=report.coverage, lines=lines)


def render_junit(reports: Sequence[RehearsalReport]) -> str:
    """Return JUnit XML, one suite per playbook; times are those of the rehearsal."""
    root = ET.Element(
        "testsuites",
        name="tocsin",
        tests=str(sum(len(each.cases) for each in reports)),
        failures=str(sum(each.failed for each in reports)),
    )
    for report in reports:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=report.playbook,
            tests=str(len(report.cases)),
            failures=str(report.failed),
        )
        for case in report.cases:
            _add_case(suite, report, case)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _lines(
    text: str, coverage: Coverage, positions: dict[str, tuple[int, int]]
) -> list[SourceLine]:
    marks = _marks(coverage)
    starts = {line: marks[step] for step, (line, _) in positions.items() if step in marks}
    found: list[SourceLine] = []
    mark = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = starts.get(number, "" if line and not line[0].isspace() else mark)
        found.append(SourceLine(number, line, mark))
    return found


def _marks(coverage: Coverage) -> dict[str, str]:
    """Return by step id how much of the step was reached."""
    reached: dict[str, list[bool]] = {}
    for each in coverage.points:
        reached.setdefault(each.path.rpartition("/")[2], []).append(each.reached)
    return {
        step: "hit" if all(all_) else "part" if any(all_) else "miss"
        for step, all_ in reached.items()
    }


def _add_case(suite: ET.Element, report: RehearsalReport, case: CaseReport) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        classname=report.playbook,
        name=_printable(case.name),
        time=str(case.seconds),
        file=case.at,
    )
    if not case.passed:
        message = "; ".join(each.message for each in case.differences)
        failure = ET.SubElement(element, "failure", message=_printable(message))
        failure.text = _printable(
            "\n".join(f"{each.at}: {each.message}" for each in case.differences)
        )


def _printable(text: str) -> str:
    """Replace the characters that XML cannot hold."""
    return "".join(char if char in "\n\t" or char.isprintable() else "\ufffd" for char in text)
