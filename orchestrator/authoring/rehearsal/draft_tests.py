"""Test runs for remote callers: in a sandbox, on a server of their own, one at a time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from orchestrator.authoring.rehearsal.rehearse import ReadFile
from orchestrator.authoring.rehearsal.report import (
    PlaybookUnderTest,
    RehearsalReport,
    ReportView,
    require_cases,
    run_tests,
    view_report,
)
from orchestrator.authoring.rehearsal.temporal_harness import open_harness
from orchestrator.domain.errors import Invalid
from orchestrator.registry.analysis import describe_draft
from orchestrator.registry.draft_tasks import DraftAnalysis
from orchestrator.registry.drafts import Draft
from orchestrator.runtime import Runtime
from orchestrator.sandbox.task import SandboxTask


class DraftTests(DraftAnalysis):
    """A draft with its tests."""

    tests: str
    tests_file: str
    files: dict[str, str]
    """The files that the cases name, in base64."""
    only: str | None


async def run_draft_tests(
    rt: Runtime,
    playbook: str,
    tests: str,
    files: Mapping[str, str],
    *,
    only: str | None = None,
    given: Sequence[Draft] = (),
) -> ReportView:
    """Run the tests of a draft against this environment; it may call drafts given with it.

    Raises as `run_tests_in_sandbox` does.
    """
    tested = PlaybookUnderTest(
        text=playbook, file="playbook.yaml", tests=tests, tests_file="tests.yaml"
    )
    return view_report(await run_tests_in_sandbox(rt, tested, files, only=only, given=given))


async def run_tests_in_sandbox(
    rt: Runtime,
    tested: PlaybookUnderTest,
    files: Mapping[str, str],
    *,
    only: str | None = None,
    given: Sequence[Draft] = (),
) -> RehearsalReport:
    """Play the cases against this environment; `files` holds the files that they name, in base64.

    Raises PlaybookInvalid, Invalid, and as `Sandbox.run` does.
    """
    draft = await describe_draft(rt, tested.text, tested.file, given)
    request = DraftTests(
        **dict(draft),
        tests=tested.tests,
        tests_file=tested.tests_file,
        files=dict(files),
        only=only,
    )
    return await rt.tests_sandbox.run(RUN_TESTS, request)


async def _run(request: DraftTests) -> RehearsalReport:
    tested = PlaybookUnderTest(
        text=request.text,
        file=request.file,
        tests=request.tests,
        tests_file=request.tests_file,
    )
    async with open_harness() as harness:
        report = await run_tests(
            tested,
            file_reader(request.files),
            request.catalogue,
            request.drafts().resolve,
            harness,
            only=request.only,
        )
    return require_cases([report], request.only)[0]


RUN_TESTS: SandboxTask[DraftTests, RehearsalReport] = SandboxTask(
    f"{__name__}:RUN_TESTS", _run, DraftTests, RehearsalReport
)


def file_reader(files: Mapping[str, str]) -> ReadFile:
    """Return a reader of files that were passed along; it raises Invalid for any other file."""

    def read(name: str) -> bytes:
        if name not in files:
            raise Invalid(f"{name}: a case names this file, but it was not sent; add it to `files`")
        try:
            return base64.b64decode(files[name], validate=True)
        except (binascii.Error, ValueError) as error:
            raise Invalid(f"{name}: not base64 ({error})") from error

    return read
