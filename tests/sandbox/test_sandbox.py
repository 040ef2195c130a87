"""Texts of clients are analyzed in a process that is bounded, has no secrets, and is replaced."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.authoring.checks import check_draft
from orchestrator.authoring.rehearsal.draft_tests import run_draft_tests
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.policy.policies import check_policy
from orchestrator.sandbox import limits
from orchestrator.sandbox.limits import TESTS, TEXTS
from orchestrator.sandbox.process import SandboxProcess
from tests.harness.databases import opened
from tests.sandbox.tasks import (
    ALLOCATE,
    DIE,
    FAIL,
    LEAVE_CHILD,
    LOOK,
    REFUSE,
    SPIN,
    WRITE,
    Order,
)

_ROOT = str(Path(__file__).parents[2])
_MAIN = f"import sys; sys.path.insert(0, {_ROOT!r}); from orchestrator.sandbox.child import main; main()"
COMMAND = (sys.executable, "-P", "-c", _MAIN)
STEP = "  - {{id: s{0}, use: chat.post, with: {{channel: soc, text: '${{{{ alert.title | lower }}}}'}}}}"
LARGE = "playbook: large\nversion: 1\ntitle: Large\nowner: soc\ntrigger: {when: alert.severity > 1}\nsteps:\n"


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxProcess]:
    made = SandboxProcess(command=COMMAND)
    yield made
    await made.close()


@pytest.fixture
async def hasty() -> AsyncIterator[SandboxProcess]:
    """A sandbox whose tasks have little time."""
    made = SandboxProcess(dataclasses.replace(TEXTS, seconds=0.3), COMMAND)
    yield made
    await made.close()


@pytest.mark.attack(
    "send a text that takes long to check", before="256 KiB to `check` froze the intake for 5.9 s"
)
async def test_task_over_its_time_ends_and_the_process_is_replaced(hasty: SandboxProcess) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    other = asyncio.create_task(count_turns())
    with pytest.raises(Invalid, match=r"takes longer than 0\.3 seconds; make it shorter"):
        await hasty.run(SPIN, Order())
    other.cancel()
    assert turns >= 5, "the event loop stood still"
    assert hasty.pid is None
    hasty._allowed = TEXTS
    assert (await hasty.run(LOOK, Order())).memory == TEXTS.memory_bytes


@pytest.mark.attack(
    "send a text that takes much memory to check", before="the API's own memory grew"
)
async def test_task_over_its_memory_ends(sandbox: SandboxProcess) -> None:
    with pytest.raises(Invalid, match="needs more than 512 MiB; make it shorter"):
        await sandbox.run(ALLOCATE, Order())
    assert sandbox.pid is None


async def test_process_that_dies_is_replaced(sandbox: SandboxProcess) -> None:
    with pytest.raises(Unavailable, match="try again"):
        await sandbox.run(DIE, Order())
    assert (await sandbox.run(LOOK, Order())).memory == TEXTS.memory_bytes


@pytest.mark.attack(
    "take over the parser and read the keys", before="texts were parsed next to the keys"
)
async def test_process_has_no_secrets_and_writes_no_files(
    sandbox: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_ENCRYPTION_KEY", "secret")
    with (tmp_path / "audit.key").open("w") as key:
        os.set_inheritable(key.fileno(), True)
        seen = await sandbox.run(LOOK, Order())
    assert set(seen.environment) <= {"PATH", "LANG", "LC_CTYPE"}
    assert not any(str(tmp_path) in each for each in seen.files)
    assert await sandbox.run(WRITE, Order(what=str(tmp_path / "x"))) == "OSError"


async def test_errors_of_a_task_are_raised_as_they_were(sandbox: SandboxProcess) -> None:
    with pytest.raises(Invalid, match=r"policy\.yaml:1:1: wrong"):
        await sandbox.run(REFUSE, Order())
    with pytest.raises(PlaybookInvalid) as caught:
        await sandbox.run(REFUSE, Order(what="playbook"))
    [problem] = caught.value.problems
    assert (problem.line, problem.column, problem.step, problem.fix) == (1, 2, "block", "right")
    with pytest.raises(RuntimeError) as failed:
        await sandbox.run(FAIL, Order())
    assert "secret" not in str(failed.value)


async def test_task_over_its_time_ends_with_the_processes_that_it_started(
    hasty: SandboxProcess, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match="takes longer"):
        await hasty.run(LEAVE_CHILD, Order(what=str(tmp_path / "child")))
    [name] = tmp_path.iterdir()
    child = Path(f"/proc/{name.suffix.removeprefix('.')}/stat")
    async with asyncio.timeout(30):
        while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
            await asyncio.sleep(0.01)


async def test_cancelled_task_does_not_keep_its_process(sandbox: SandboxProcess) -> None:
    running = asyncio.create_task(sandbox.run(SPIN, Order()))
    while sandbox.pid is None:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sandbox.pid is None


async def test_too_many_tasks_are_asked_to_wait(
    hasty: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING", 1)
    first = asyncio.create_task(hasty.run(SPIN, Order()))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many"):
        await hasty.run(LOOK, Order())
    with pytest.raises(Invalid):
        await first


async def test_playbooks_and_policies_are_checked_in_the_sandbox(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    text = LARGE + "\n".join(STEP.format(number) for number in range(40))
    async with opened(tmp_path, None) as [runtime]:
        rt = dataclasses.replace(runtime, sandbox=sandbox)
        assert (await check_draft(rt, text, "p.yaml")).digest == (
            await check_draft(None, text, "p.yaml")
        ).digest
        assert sandbox.pid is not None
        with pytest.raises(PlaybookInvalid, match=r"p\.yaml:7:"):
            await check_draft(rt, text.replace("chat.post", "chat.pst"), "p.yaml")
        assert (await check_policy(rt, "rules: []\n")).warnings == ()
        with pytest.raises(Invalid, match=r"policy\.yaml:1"):
            await check_policy(rt, "rulez: []\n")


@pytest.mark.attack(
    "give a playbook tests that keep a process busy",
    before="they ran in the process that takes alerts",
)
async def test_tests_of_playbooks_run_in_a_process_of_their_own(tmp_path: Path) -> None:
    sandbox = SandboxProcess(TESTS, COMMAND)
    text = (
        "playbook: tiny\nversion: 1\ntitle: Tiny\nowner: soc\n"
        "steps:\n  - {id: post, use: chat.post, with: {channel: soc, text: x}}\n"
    )
    tests = (
        "playbook: tiny\ncases:\n  - name: posts\n    stubs: {chat.post: {output: {channel: soc, id: '1'}}}\n"
        "    expect: {status: completed, applied: [chat.post]}\n"
    )
    async with opened(tmp_path, None) as [runtime]:
        rt = dataclasses.replace(runtime, tests_sandbox=sandbox)
        report = await run_draft_tests(rt, text, tests, {})
        assert sandbox.pid is not None
        [case] = report.cases
        assert (case.name, case.passed, case.applied) == ("posts", True, ("chat.post",))
        with pytest.raises(Invalid, match="no case has 'other' in its name"):
            await run_draft_tests(rt, text, tests, {}, only="other")
        with pytest.raises(PlaybookInvalid, match=r"playbook\.yaml:6:"):
            await run_draft_tests(rt, text.replace("chat.post", "chat.pst"), tests, {})
    await sandbox.close()
    assert sandbox.pid is None
