"""Does the case that was made of a run come out as the run did? It is played at once, in memory, and what differs is said."""

from __future__ import annotations

from typing import Any

from orchestrator.authoring.recording.case import recorded
from orchestrator.authoring.recording.evidence import evidence_of
from orchestrator.authoring.rehearsal.rehearse import rehearse
from orchestrator.authoring.rehearsal.tests_yaml.edit import begun_tests
from orchestrator.authoring.rehearsal.tests_yaml.model import read_cases
from orchestrator.authoring.rehearsal.tests_yaml.validate import check_stubs
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime


class RecordedRun(Frozen):
    """A case, as data and as a tests.yaml that holds it alone. `differences`: in what it does not come out as the run did."""

    run_id: str
    playbook: str
    version: int
    case: dict[str, Any]
    tests: str
    passes: bool
    differences: tuple[str, ...]
    notes: tuple[str, ...]


async def record_run(rt: Runtime, run_id: str) -> RecordedRun:
    """The case of a run. Raises NotFound, Conflict (still open, cancelled, a dry run)."""
    evidence, version = await evidence_of(rt, run_id)
    found = recorded(evidence)
    tests = begun_tests(version.name, found.case, found.notes)
    differences = await _played(tests, evidence.plan)
    return RecordedRun(
        run_id=run_id,
        playbook=version.name,
        version=version.version,
        case=found.case,
        tests=tests,
        passes=not differences,
        differences=differences,
        notes=found.notes,
    )


async def _played(tests: str, plan: Plan) -> tuple[str, ...]:
    try:
        cases = read_cases(tests, "the recorded case", plan)
        check_stubs(tests, "the recorded case", plan)
        found = await rehearse(plan, cases, cases.cases[0], _nothing)
    except Invalid as error:
        return (str(error),)
    return found.problems


def _nothing(name: str) -> bytes:
    raise Invalid(f"{name}: a recorded case names no file")
