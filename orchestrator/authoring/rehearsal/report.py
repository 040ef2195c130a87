"""What is said of a playbook's tests: each case with its differences and where they stand in the files, and the coverage of all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from orchestrator.authoring.rehearsal.coverage import Coverage, coverage, plain
from orchestrator.authoring.rehearsal.rehearse import Read, rehearse
from orchestrator.authoring.rehearsal.result import Rehearsal
from orchestrator.authoring.rehearsal.temporal_harness import Theatre
from orchestrator.authoring.rehearsal.tests_yaml.model import read_cases
from orchestrator.authoring.rehearsal.tests_yaml.validate import case_lines, check_stubs
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import Compiled, Resolve, compile_playbook


class Differs(Frozen):
    """One thing that is not as expected. `at`: file and line of the step that it is about, or of the case."""

    field: str
    said: str
    wanted: tuple[str, ...]
    got: tuple[str, ...]
    at: str


class CaseReport(Frozen):
    """One case. `at`: where it stands; `seconds`: how long the run took in its own time."""

    name: str
    at: str
    passed: bool
    status: str | None
    error: str | None
    applied: tuple[str, ...]
    undone: tuple[str, ...]
    released: tuple[str, ...]
    asked: tuple[str, ...]
    seconds: float
    differences: tuple[Differs, ...]


class Report(Frozen):
    """All cases of a playbook; `coverage` is that of all its cases, or None where only some were played."""

    playbook: str
    version: int
    file: str
    cases: tuple[CaseReport, ...]
    coverage: Coverage | None

    @property
    def failed(self) -> int:
        """How many cases did not come out as expected."""
        return sum(not case.passed for case in self.cases)


class Subject(Frozen):
    """A playbook and its tests, as texts. `file`, `tests_file`: how messages call them."""

    text: str
    file: str
    tests: str
    tests_file: str


async def rehearsed(
    tested: Subject,
    read: Read,
    catalogue: Catalogue,
    resolve: Resolve,
    theatre: Theatre | None,
    *,
    only: str | None = None,
) -> Report:
    """Plays all cases, or those whose name holds `only`. Raises PlaybookInvalid, and Invalid for tests that make no sense."""
    compiled = compile_playbook(tested.text, tested.file, catalogue, resolve)
    plan = compiled.plan
    cases = read_cases(tested.tests, tested.tests_file, plan)
    check_stubs(tested.tests, tested.tests_file, plan)
    lines = case_lines(tested.tests)
    chosen = [
        (number, case)
        for number, case in enumerate(cases.cases)
        if only is None or only.lower() in case.name.lower()
    ]
    found = await _all(
        _placed(
            rehearse(plan, cases, case, read, theatre),
            f"{tested.tests_file}:{lines[number]}: case {case.name!r}",
        )
        for number, case in chosen
    )
    told = [
        _case(each, tested, compiled, lines[number])
        for each, (number, _) in zip(found, chosen, strict=True)
    ]
    whole = len(chosen) == len(cases.cases)
    return Report(
        playbook=plan.playbook,
        version=plan.version,
        file=tested.file,
        cases=tuple(told),
        coverage=coverage(plan, found) if whole else None,
    )


def some(reports: Sequence[Report], only: str | None) -> Sequence[Report]:
    """The reports. Raises Invalid where `only` left no case: that nothing failed would say nothing."""
    if only is not None and not any(each.cases for each in reports):
        raise Invalid(
            f"no case has {only!r} in its name; write a part of one, as it stands in tests.yaml"
        )
    return reports


def trail(found: Rehearsal) -> dict[str, Any]:
    """What two ways of playing a case have to agree in."""
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


def as_json(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {**each.model_dump(mode="json"), "coverage": coverage_told(each.coverage)}
        for each in reports
    ]


def coverage_told(found: Coverage | None) -> dict[str, Any] | None:
    """Percent, and what is missing."""
    if found is None:
        return None
    return {
        "percent": round(found.percent, 1),
        "missing": [f"{each.path}: {each.what}" for each in found.missing],
        "points": len(found.points),
    }


async def _placed(case: Awaitable[Rehearsal], place: str) -> Rehearsal:
    """What makes no sense in a case is told with its place."""
    try:
        return await case
    except Invalid as error:
        raise Invalid(f"{place}: {error}") from error


async def _all(cases: Iterable[Awaitable[Rehearsal]]) -> list[Rehearsal]:
    """Side by side, to their end, before the first error is raised."""
    results = await asyncio.gather(*cases, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _case(found: Rehearsal, tested: Subject, compiled: Compiled, line: int) -> CaseReport:
    at = f"{tested.tests_file}:{line}"

    def place(step: str | None) -> str:
        position = compiled.positions.get(plain(step).rpartition("/")[2]) if step else None
        return f"{tested.file}:{position[0]}" if position else at

    differs = tuple(
        Differs(
            field=each.field, said=each.said, wanted=each.wanted, got=each.got, at=place(each.step)
        )
        for each in found.differences
    )
    return CaseReport(
        name=found.case,
        at=at,
        passed=not differs,
        status=found.status,
        error=found.error,
        applied=found.applied,
        undone=found.undone,
        released=found.released,
        asked=tuple(each.text for each in found.asked),
        seconds=round(found.took.total_seconds(), 3),
        differences=differs,
    )
