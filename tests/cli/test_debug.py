"""A playbook is stepped through without a terminal, against a running API."""

from __future__ import annotations

from pathlib import Path

from tests.harness.api_server import ApiServer
from tests.harness.commands import tocsin

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


def _debug(server: ApiServer, folder: Path, lines: str, *more: str) -> str:
    """What is printed when these lines come from a pipe."""
    (folder / "playbook.yaml").write_text(DRAFT, "utf-8")
    start = ("debug", "start", folder, "--input", "address=198.51.100.7")
    done = tocsin(*start, *more, "--data-dir", server.settings.data_dir, stdin=lines)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_commands_come_from_a_pipe_and_its_end_ends_the_session(
    server: ApiServer, tmp_path: Path
) -> None:
    lines = 'show inputs.address\noverride {"summary": "it"}\nshow steps.block.summary\n'
    printed = _debug(server, tmp_path, lines)
    assert '"198.51.100.7"' in printed
    assert "block: done" in printed
    assert '"it"' in printed
    assert 'inputs: {"channel": "soc", "text": "blocked it"}' in printed


def test_a_wrong_command_is_explained_and_the_session_continues(
    server: ApiServer, tmp_path: Path
) -> None:
    lines = "dance\nshow\noverride {\napply\nshow steps.\nskip\nskip\n"
    printed = _debug(server, tmp_path, lines, "--break", "block")
    assert "unknown command dance; see `help`" in printed
    assert "show needs expression; see `help`" in printed
    assert "override: the result is not JSON" in printed
    assert "apply: no change is planned here" in printed
    assert printed.rstrip().endswith("by-hand: completed")
