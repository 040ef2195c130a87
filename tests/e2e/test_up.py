"""`tocsin up`: one tree of processes, one data directory, nothing lost whatever is killed."""

import json
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestrator.cli.stack.ports import is_alive
from tests.harness.commands import tocsin as run_command
from tests.harness.stack import Stack, attack_from, tocsin, until

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

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc"),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir = tmp_path_factory.mktemp("up") / "data"
    stack = Stack(data_dir, TOCSIN_ENVIRONMENT="staging")  # debug sessions are for staging
    stack.start()
    yield stack
    stack.end()


@pytest.fixture(scope="module")
def secret(stack: Stack) -> str:
    return stack.source("edge")


def _blocked(stack: Stack, address: str) -> list[dict[str, object]]:
    return [effect for effect in stack.lab()["palo_alto"]["effects"] if address in effect["target"]]


def test_an_alert_is_contained_in_the_lab(stack: Stack, secret: str) -> None:
    reply = stack.send("edge", secret, attack_from("203.0.113.10"))
    assert reply.status_code == 202, reply.text
    run = stack.run_of(reply.json())
    assert (run["playbook"], run["status"]) == ("brute-force-block", "completed")
    assert [effect["count"] for effect in _blocked(stack, "203.0.113.10")] == [1]


def test_the_admin_key_is_readable_by_its_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE((stack.folder / "admin.key").stat().st_mode) == 0o600


def test_a_second_start_on_the_same_data_directory_is_refused(stack: Stack) -> None:
    assert stack.process is not None
    second = tocsin("up", "--data-dir", stack.folder)
    assert second.returncode == 1
    assert f"process {stack.process.pid} runs a stack on this data directory" in second.stderr


def test_a_taken_port_is_named(stack: Stack, tmp_path: Path) -> None:
    other = tocsin("up", "--data-dir", tmp_path / "other", "--port", stack.port)
    assert other.returncode == 1
    assert (
        f"--port {stack.port}: cannot listen on 127.0.0.1:{stack.port} (another program listens there)"
        in other.stderr
    )


def test_the_doctor_finds_nothing_wrong_once_people_can_answer(stack: Stack) -> None:
    alone = tocsin("doctor", "--data-dir", stack.folder)
    assert alone.returncode == 1
    assert "group soc-leads cannot answer, as no one in it has a valid key" in alone.stdout
    here = ("--data-dir", stack.folder)
    assert tocsin("person", "add", "lead", "--group", "soc-leads", *here).returncode == 0
    made = tocsin("key", "create", "lead", "--role", "approver", "--json", *here)
    code = json.loads(made.stdout)["enrolment_code"]
    assert tocsin("key", "enrol", code, "--url", f"http://127.0.0.1:{stack.port}").returncode == 0
    done = tocsin("doctor", "--data-dir", stack.folder)
    assert done.returncode == 0, done.stdout


def _debug(stack: Stack, folder: Path, lines: str, *more: str) -> str:
    """What is printed when these lines come from a pipe."""
    (folder / "playbook.yaml").write_text(DRAFT, "utf-8")
    start = ("debug", "start", folder, "--input", "address=198.51.100.7")
    done = run_command(*start, *more, "--data-dir", stack.folder, stdin=lines)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_commands_come_from_a_pipe_and_its_end_ends_the_session(
    stack: Stack, tmp_path: Path
) -> None:
    lines = 'show inputs.address\noverride {"summary": "it"}\nshow steps.block.summary\n'
    printed = _debug(stack, tmp_path, lines)
    assert '"198.51.100.7"' in printed
    assert "block: done" in printed
    assert '"it"' in printed
    assert 'inputs: {"channel": "soc", "text": "blocked it"}' in printed


def test_a_wrong_command_is_explained_and_the_session_continues(
    stack: Stack, tmp_path: Path
) -> None:
    lines = "dance\nshow\noverride {\nskip\napply\nskip\n"
    printed = _debug(stack, tmp_path, lines, "--break", "block")
    assert "unknown command dance; see `help`" in printed
    assert "show needs expression; see `help`" in printed
    assert "override: the result is not JSON" in printed
    assert "apply: no change is planned here" in printed
    assert printed.rstrip().endswith("by-hand: completed")


def test_an_applied_step_of_a_debug_session_is_undone_at_its_end(
    stack: Stack, tmp_path: Path
) -> None:
    printed = _debug(stack, tmp_path, "apply\n198.51.100.7\nquit\n")
    assert "type the target to apply this for real" in printed
    assert "(run run_" in printed
    assert printed.rstrip().endswith(("undone", "undo in progress"))
    until(lambda: len(_effects(stack, "198.51.100.7")) == 2, 60, "the undo")


def _effects(stack: Stack, address: str) -> list[dict[str, object]]:
    return [each for each in stack.lab()["palo_alto"]["effects"] if each["target"] == address]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("api", "203.0.113.11"),
        ("worker", "203.0.113.12"),
        ("temporal", "203.0.113.13"),
        ("lab", "203.0.113.14"),
    ],
)
def test_an_accepted_alert_is_handled_once_though_a_child_is_killed(
    stack: Stack, secret: str, name: str, address: str
) -> None:
    body = attack_from(address)
    reply = stack.send("edge", secret, body)
    assert reply.status_code == 202
    stack.kill_child(name)
    run = stack.run_of(reply.json())
    assert run["status"] == "completed", run
    assert [effect["count"] for effect in _blocked(stack, address)] == [1]


def test_an_alert_is_accepted_while_temporal_is_down(stack: Stack, secret: str) -> None:
    stack.kill_child("temporal")
    reply = stack.send("edge", secret, attack_from("203.0.113.15"))
    assert reply.status_code == 202
    assert stack.run_of(reply.json())["status"] == "completed"


def test_the_audit_trail_is_intact_afterwards(stack: Stack, tmp_path: Path) -> None:
    assert tocsin("audit", "export", tmp_path / "trail", "--data-dir", stack.folder).returncode == 0
    checked = tocsin(
        "audit", "verify", tmp_path / "trail", "--public-key", stack.folder / "audit.pub"
    )
    assert checked.returncode == 0, checked.stdout


def test_a_killed_supervisor_leaves_no_process_and_the_next_one_continues(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data")
    stack.start()
    secret = stack.source("edge")
    children = stack.children()
    reply = stack.send("edge", secret, attack_from("203.0.113.20"))
    stack.kill()
    until(lambda: not any(is_alive(pid) for pid in children.values()), 15, "the end of every child")
    stack.start()
    assert stack.run_of(reply.json())["status"] == "completed"
    assert [effect["count"] for effect in _blocked(stack, "203.0.113.20")] == [1]
    assert stack.end() < 10
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{stack.port}/livez")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", stack.listening["temporal"])) != 0
