"""Test runs for remote callers: on a server of their own, one at a time, for a bounded time."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

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
from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import Resolve
from orchestrator.registry.drafts import Draft
from orchestrator.registry.publish import load_resolve
from orchestrator.runtime import Runtime

MOST_SECONDS = 120
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


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

    Raises as `run_tests_bounded` does.
    """
    tested = PlaybookUnderTest(
        text=playbook, file="playbook.yaml", tests=tests, tests_file="tests.yaml"
    )
    report = await run_tests_bounded(
        tested,
        files,
        await load_catalogue(rt),
        await load_resolve(rt, given),
        only=only,
    )
    return view_report(report)


async def run_tests_bounded(
    tested: PlaybookUnderTest,
    files: Mapping[str, str],
    catalogue: Catalogue,
    resolve: Resolve,
    *,
    only: str | None = None,
) -> RehearsalReport:
    """Play the cases; `files` holds the files that they name, in base64.

    Raises PlaybookInvalid, Invalid, and Unavailable when it takes too long.
    """
    loop = asyncio.get_running_loop()
    async with _turns.setdefault(loop, asyncio.Lock()):
        try:
            async with asyncio.timeout(MOST_SECONDS), open_harness() as harness:
                report = await run_tests(
                    tested, file_reader(files), catalogue, resolve, harness, only=only
                )
                return require_cases([report], only)[0]
        except TimeoutError:
            raise Unavailable(
                f"the tests took longer than {MOST_SECONDS} seconds; try fewer at once"
            ) from None


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
