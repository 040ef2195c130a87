"""Local tools run without a shell and an inherited environment, and within limits."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from connectors.sdk.guard import WriteRefused, reading_only
from connectors.sdk.process import run_tool
from connectors.sdk.transport import Access
from orchestrator.domain.errors import Rejected, Unavailable, Unknown

PYTHON = [sys.executable, "-S", "-c"]


async def test_tool_gets_input_and_returns_output_and_status() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('oops'); sys.exit(3)"
    result = await run_tool([*PYTHON, code], stdin=b"hello", writes=False, access=Access.READ)
    assert (result.code, result.stdout, result.stderr) == (3, b"HELLO", b"oops")


async def test_tool_does_not_inherit_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_SECRET", "s3cr3t")
    result = await run_tool(
        [*PYTHON, "import os; print(sorted(os.environ))"], writes=False, access=Access.READ
    )
    assert b"TOCSIN" not in result.stdout


async def test_shell_syntax_is_plain_text() -> None:
    result = await run_tool(
        [*PYTHON, "import sys; print(sys.argv[1])", "$(id); `id` && id"],
        writes=False,
        access=Access.READ,
    )
    assert result.stdout == b"$(id); `id` && id\n"


async def test_endless_tool_is_killed() -> None:
    endless = [*PYTHON, "while True: pass"]
    short = timedelta(milliseconds=100)
    with pytest.raises(Unavailable, match="did not end"):
        await run_tool(endless, writes=False, access=Access.READ, timeout=short)
    with pytest.raises(Unknown, match="did not end"):
        await run_tool(endless, writes=True, access=Access.WRITE, timeout=short)


async def test_tool_with_too_much_output_is_killed() -> None:
    flood = [*PYTHON, "while True: print('x' * 1000)"]
    with pytest.raises(Unavailable, match="wrote more than 10000 bytes"):
        await run_tool(flood, writes=False, access=Access.READ, max_output=10_000)


async def test_tool_that_ignores_its_input_ends() -> None:
    result = await run_tool(["/bin/true"], stdin=b"x" * 1_000_000, writes=False, access=Access.READ)
    assert result.code == 0


async def test_missing_tool_is_named() -> None:
    with pytest.raises(Rejected, match="cannot start /nowhere/nft"):
        await run_tool(["/nowhere/nft"], writes=False, access=Access.READ)


async def test_writing_tool_is_refused_during_a_read() -> None:
    with pytest.raises(WriteRefused):
        await run_tool(["/bin/true"], writes=True, access=Access.READ)
    with pytest.raises(WriteRefused), reading_only():
        await run_tool(["/bin/true"], writes=True, access=Access.WRITE)
    with reading_only():
        assert (await run_tool(["/bin/true"], writes=False, access=Access.WRITE)).code == 0
