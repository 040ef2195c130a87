"""The report of a playbook's tests: each case with its differences, and the coverage of all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from pydantic import ConfigDict

from orchestrator.authoring.rehearsal.coverage import Coverage, measure_coverage
from orchestrator.authoring.rehearsal.rehearse import ReadFile, rehearse
from orchestrator.authoring.rehearsal.result import Rehearsal
from orchestrator.authoring.rehearsal.temporal_harness import TemporalHarness
from orchestrator.authoring.rehearsal.tests_yaml.read import case_lines, read_tests
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import CompiledPlaybook, Resolve, compile_playbook
from orchestrator.playbook.plan import without_rounds


class MismatchReport(Frozen):
    """One thing that is not as expected."""

    field: str
    message: str
    expected: tuple[str, ...]
    actual: tuple[str, ...]
    at: str
    """File and line of the step that it is about, or of the case."""


class CaseReport(Frozen):
    """The result of one case."""

    name: str
    at: str
    """File and line of the case."""
    passed: bool
    status: str | None
    error: str | None
    applied: tuple[str, ...]
    undone: tuple[str, ...]
    released: tuple[str, ...]
    asked: tuple[str, ...]
    seconds: float
    """How long the run took in its own time."""
    differences: tuple[MismatchReport, ...]


class RehearsalReport(Frozen):
    """The results of all cases of a playbook."""

    playbook: str
    version: int
    file: str
    cases: tuple[CaseReport, ...]
    coverage: Coverage | None
    """None where only some of the cases were played."""

    @property
    def failed(self) -> int:
        """The number of cases that did not go as expected."""
        return sum(not case.passed for case in self.cases)


class CoverageView(Frozen):
    """How much of a playbook its tests reach."""

    percent: float
    missing: tuple[str, ...]
    points: int


class ReportView(Frozen):
    """The results of all cases of a playbook, with the coverage in short."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "playbook": "block-address",
                "version": 1,
                "file": "playbook.yaml",
                "cases": [
                    {
                        "name": "a known attacker is blocked",
                        "at": "tests.yaml:4",
                        "passed": True,
                        "status": "completed",
                        "error": None,
                        "applied": ["firewall.block_address 198.51.100.7"],
                        "undone": [],
                        "released": [],
                        "asked": [],
                        "seconds": 2.0,
                        "differences": [],
                    }
                ],
                "coverage": {"percent": 100.0, "missing": [], "points": 7},
            }
        }
    )

    playbook: str
    version: int
    file: str
    cases: tuple[CaseReport, ...]
    coverage: CoverageView | None


class PlaybookUnderTest(Frozen):
    """A playbook and its tests, as texts with their names in messages."""

    text: str
    file: str
    tests: str
    tests_file: str


async def run_tests(
    tested: PlaybookUnderTest,
    read: ReadFile,
    catalogue: Catalogue,
    resolve: Resolve,
    harness: TemporalHarness | None,
    *,
    only: str | None = None,
) -> RehearsalReport:
    """Play all cases, or those whose name contains `only`; in memory without a harness.

    Raises PlaybookInvalid, and Invalid for tests that make no sense.
    """
    compiled = compile_playbook(tested.text, tested.file, catalogue, resolve)
    plan = compiled.plan
    cases = read_tests(tested.tests, tested.tests_file, plan)
    lines = case_lines(tested.tests)
    chosen = [
        (number, case)
        for number, case in enumerate(cases.cases)
        if only is None or only.lower() in case.name.lower()
    ]
    found = await _gather(
        _with_place(
            rehearse(plan, cases, case, read, harness),
            f"{tested.tests_file}:{lines[number]}: case {case.name!r}",
        )
        for number, case in chosen
    )
    reports = [
        _case_report(each, tested, compiled, lines[number])
        for each, (number, _) in zip(found, chosen, strict=True)
    ]
    whole = len(chosen) == len(cases.cases)
    return RehearsalReport(
        playbook=plan.playbook,
        version=plan.version,
        file=tested.file,
        cases=tuple(reports),
        coverage=measure_coverage(plan, found) if whole else None,
    )


def require_cases(
    reports: Sequence[RehearsalReport], only: str | None
) -> Sequence[RehearsalReport]:
    """Return the reports. Raise Invalid when `only` left no case, as nothing would be tested."""
    if only is not None and not any(each.cases for each in reports):
        raise Invalid(f"no case has {only!r} in its name; check the names in tests.yaml")
    return reports


def comparable_result(found: Rehearsal) -> dict[str, Any]:
    """Return what two ways of playing a case must agree in."""
    return {
        "status": found.status,
        "error": found.error,
        "applied": sorted(found.applied),
        "undone": sorted(found.undone),
        "released": sorted(found.released),
        "asked": sorted((each.path, each.text, each.outcome) for each in found.asked),
        "states": {path: str(state) for path, state in sorted(found.states.items())},
        "errors": dict(sorted(found.errors.items())),
    }


def view_report(report: RehearsalReport) -> ReportView:
    """Return a report with the coverage in short."""
    return ReportView(
        playbook=report.playbook,
        version=report.version,
        file=report.file,
        cases=report.cases,
        coverage=summarize_coverage(report.coverage),
    )


def reports_as_json(reports: Sequence[RehearsalReport]) -> list[dict[str, Any]]:
    """Return reports as JSON data, with the coverage in short."""
    return [view_report(each).model_dump(mode="json") for each in reports]


def summarize_coverage(found: Coverage | None) -> CoverageView | None:
    """Return percent, number of points, and the points that are missing."""
    if found is None:
        return None
    return CoverageView(
        percent=round(found.percent, 1),
        missing=tuple(f"{each.path}: {each.what}" for each in found.missing),
        points=len(found.points),
    )


async def _with_place(case: Awaitable[Rehearsal], place: str) -> Rehearsal:
    """Name the place of a case that makes no sense."""
    try:
        return await case
    except Invalid as error:
        raise Invalid(f"{place}: {error}") from error


async def _gather(cases: Iterable[Awaitable[Rehearsal]]) -> list[Rehearsal]:
    """Play all cases to their end before the first error is raised."""
    results = await asyncio.gather(*cases, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _case_report(
    found: Rehearsal, tested: PlaybookUnderTest, compiled: CompiledPlaybook, line: int
) -> CaseReport:
    at = f"{tested.tests_file}:{line}"

    def place(step: str | None) -> str:
        position = compiled.positions.get(without_rounds(step).rpartition("/")[2]) if step else None
        return f"{tested.file}:{position[0]}" if position else at

    differences = tuple(
        MismatchReport(
            field=each.field,
            message=each.message,
            expected=each.expected,
            actual=each.actual,
            at=place(each.step),
        )
        for each in found.differences
    )
    return CaseReport(
        name=found.case,
        at=at,
        passed=not differences,
        status=found.status,
        error=found.error,
        applied=found.applied,
        undone=found.undone,
        released=found.released,
        asked=tuple(each.text for each in found.asked),
        seconds=round(found.took.total_seconds(), 3),
        differences=differences,
    )
