"""Recording of a run as a test case, which is played at once to see that it ends as the run did."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from orchestrator.authoring.recording.case import build_case
from orchestrator.authoring.recording.load import load_evidence
from orchestrator.authoring.rehearsal.rehearse import rehearse
from orchestrator.authoring.rehearsal.tests_yaml.edit import new_tests_file
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime


class RecordedRun(Frozen):
    """A run as a test case."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "run_id": "run_019a8c7d",
                "playbook": "c2-beacon-containment",
                "version": 3,
                "case": {"name": "as in run run_019a8c7d", "expect": {"status": "completed"}},
                "tests": "playbook: c2-beacon-containment\ncases: ...",
                "passes": True,
                "differences": [],
                "notes": [],
            }
        }
    )

    run_id: str
    playbook: str
    version: int
    case: dict[str, Any]
    tests: str
    """A tests.yaml with this case alone."""
    passes: bool
    differences: tuple[str, ...]
    """How the case ends differently from the run."""
    notes: tuple[str, ...]
    """What the case cannot express."""


async def record_run(rt: Runtime, run_id: str) -> RecordedRun:
    """Return a run as a test case. Raises NotFound, Conflict (open, cancelled, a dry run)."""
    evidence, version = await load_evidence(rt, run_id)
    found = build_case(evidence)
    tests = new_tests_file(version.name, found.case, found.notes)
    differences = await _play(tests, evidence.plan)
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


async def _play(tests: str, plan: Plan) -> tuple[str, ...]:
    try:
        cases = read_tests(tests, "the recorded case", plan)
        found = await rehearse(plan, cases, cases.cases[0], _no_file)
    except Invalid as error:
        return (str(error),)
    return found.problems


def _no_file(name: str) -> bytes:
    raise Invalid(f"{name}: a recorded case names no file")
