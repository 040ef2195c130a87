"""How does a person look at tests and coverage? One HTML file that needs nothing else; texts are escaped, and nothing runs in it."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from orchestrator.authoring.rehearsal.coverage import Coverage
from orchestrator.authoring.rehearsal.report import Report

_environment = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


class Line(NamedTuple):
    """One line of the playbook; `mark`: hit, part, miss, or nothing where it belongs to no step."""

    number: int
    text: str
    mark: str


def page(report: Report, text: str, positions: dict[str, tuple[int, int]]) -> str:
    """The page of one playbook; `positions`: of each step's id, line and column."""
    template = _environment.from_string(
        resources.files("orchestrator.authoring.rehearsal").joinpath("page.html").read_text("utf-8")
    )
    lines = _lines(text, report.coverage, positions) if report.coverage else []
    return template.render(report=report, coverage=report.coverage, lines=lines)


def _lines(text: str, coverage: Coverage, positions: dict[str, tuple[int, int]]) -> list[Line]:
    marks = _marks(coverage)
    starts = {line: marks[step] for step, (line, _) in positions.items() if step in marks}
    found: list[Line] = []
    mark = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = starts.get(number, "" if line and not line[0].isspace() else mark)
        found.append(Line(number, line, mark))
    return found


def _marks(coverage: Coverage) -> dict[str, str]:
    """By step id how much of it is reached."""
    reached: dict[str, list[bool]] = {}
    for each in coverage.points:
        reached.setdefault(each.path.rpartition("/")[2], []).append(each.reached)
    return {
        step: "hit" if all(all_) else "part" if any(all_) else "miss"
        for step, all_ in reached.items()
    }
