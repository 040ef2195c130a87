"""Can a playbook be stepped through without a terminal, against an API that is up?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner

from api.app import create_app
from orchestrator.access import keys
from orchestrator.cli.app import app
from orchestrator.domain.access import Role
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate

DRAFT = """\
playbook: by-hand
version: 1
title: Block
owner: soc
inputs: {address: {type: address}}
steps:
  - id: block
    use: firewall.block_address
    with: {address: "${{ inputs.address }}"}
    for: 1h
  - id: tell
    use: chat.post
    with: {channel: soc, text: "blocked ${{ steps.block.summary }}"}
"""


class _Stack(threading.Thread):
    """An API in staging, on a loop of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.settings = Settings.load(data_dir=folder / "data", environment="staging")
        self.up = threading.Event()
        self.url = self.key = ""
        self.server: uvicorn.Server | None = None

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        rt = open_runtime(self.settings)
        await migrate(rt.store)
        _, token = await keys.create_key(rt, "eve", (Role.ADMIN,), actor="system")
        self.server = uvicorn.Server(
            uvicorn.Config(create_app(rt, lambda: None), port=0, log_level="error", ws="none")
        )
        serving = asyncio.create_task(self.server.serve())
        while not self.server.started and not serving.done():  # uvicorn says nothing when it is up
            await asyncio.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url, self.key = f"http://127.0.0.1:{port}", token.get_secret_value()
        self.up.set()
        await serving
        await rt.close()


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stack]:
    made = _Stack(tmp_path)
    made.start()
    assert made.up.wait(30)
    monkeypatch.setenv("TOCSIN_API_KEY", made.key)
    yield made
    assert made.server is not None
    made.server.should_exit = True
    made.join(20)


def debugged(stack: _Stack, folder: Path, said: str, *more: str) -> str:
    """What is printed when these lines come from a pipe."""
    (folder / "playbook.yaml").write_text(DRAFT, "utf-8")
    given = [
        "playbook",
        "debug",
        str(folder),
        "--url",
        stack.url,
        "--input",
        "address=198.51.100.7",
        *more,
    ]
    result = CliRunner().invoke(app, given, input=said)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_commands_come_from_a_pipe_and_its_end_ends_the_session(
    stack: _Stack, tmp_path: Path
) -> None:
    told = debugged(
        stack,
        tmp_path,
        'show inputs.address\noverride {"summary": "it"}\nshow steps.block.summary\n',
    )
    assert '"198.51.100.7"' in told
    assert "block: done" in told
    assert '"it"' in told
    assert 'inputs: {"channel": "soc", "text": "blocked it"}' in told


def test_what_makes_no_sense_is_said_and_the_session_goes_on(stack: _Stack, tmp_path: Path) -> None:
    told = debugged(
        stack,
        tmp_path,
        "dance\nshow\noverride {\napply\nshow steps.\nskip\nskip\n",
        "--break",
        "block",
    )
    assert "there is no command dance; see `help`" in told
    assert "show needs something after it" in told
    assert "override takes the result as JSON" in told
    assert "there is nothing to apply here" in told
    assert told.rstrip().endswith("by-hand: completed")
