"""A local tool runs without shell, without our environment, and never without bounds."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from connectors.sdk.guard import WriteRefused, reading_only
from connectors.sdk.process import run_tool
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable, Unknown

PYTHON = [sys.executable, "-S", "-c"]


async def test_a_tool_gets_its_input_and_gives_its_output_and_status() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('oops'); sys.exit(3)"
    result = await run_tool([*PYTHON, code], stdin=b"hello", writes=False, access=Access.READ)
    assert (result.code, result.stdout, result.stderr) == (3, b"HELLO", b"oops")


async def test_a_tool_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_SECRET", "s3cr3t")
    result = await run_tool(
        [*PYTHON, "import os; print(sorted(os.environ))"], writes=False, access=Access.READ
    )
    assert b"TOCSIN" not in result.stdout


async def test_what_looks_like_shell_is_just_text() -> None:
    result = await run_tool(
        [*PYTHON, "import sys; print(sys.argv[1])", "$(id); `id` && id"],
        writes=False,
        access=Access.READ,
    )
    assert result.stdout == b"$(id); `id` && id\n"


async def test_a_tool_that_does_not_end_is_killed() -> None:
    endless = [*PYTHON, "while True: pass"]
    short = timedelta(milliseconds=100)
    with pytest.raises(Unavailable, match="did not end"):
        await run_tool(endless, writes=False, access=Access.READ, timeout=short)
    with pytest.raises(Unknown, match="did not end"):
        await run_tool(endless, writes=True, access=Access.WRITE, timeout=short)


async def test_a_tool_that_floods_is_killed() -> None:
    flood = [*PYTHON, "while True: print('x' * 1000)"]
    with pytest.raises(Unavailable, match="flooded"):
        await run_tool(flood, writes=False, access=Access.READ, max_output=10_000)


async def test_a_tool_that_reads_nothing_does_not_hang_us() -> None:
    result = await run_tool(["/bin/true"], stdin=b"x" * 1_000_000, writes=False, access=Access.READ)
    assert result.code == 0


async def test_a_missing_tool_is_named() -> None:
    with pytest.raises(Rejected, match="cannot start /nowhere/nft"):
        await run_tool(["/nowhere/nft"], writes=False, access=Access.READ)


async def test_a_writing_tool_is_refused_where_only_reading_is_allowed() -> None:
    with pytest.raises(WriteRefused):
        await run_tool(["/bin/true"], writes=True, access=Access.READ)
    with pytest.raises(WriteRefused), reading_only():
        await run_tool(["/bin/true"], writes=True, access=Access.WRITE)
    with reading_only():
        assert (await run_tool(["/bin/true"], writes=False, access=Access.WRITE)).code == 0
