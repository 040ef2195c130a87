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
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.playbook.problems import PlaybookInvalid
from orchestrator.policy.policies import check_policy
from orchestrator.sandbox import limits
from orchestrator.sandbox.limits import MEMORY_BYTES
from orchestrator.sandbox.process import SandboxProcess
from tests.harness.databases import opened
from tests.sandbox.tasks import ALLOCATE, DIE, FAIL, LOOK, REFUSE, SPIN, WRITE, Order

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
    made = SandboxProcess(seconds=0.3, command=COMMAND)
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
    hasty._seconds = 30
    assert (await hasty.run(LOOK, Order())).memory == MEMORY_BYTES


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
    assert (await sandbox.run(LOOK, Order())).memory == MEMORY_BYTES


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
