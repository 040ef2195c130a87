"""Connections on the command line: a secret never stands in the arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.api_server import ApiServer
from tests.harness.commands import CommandOutcome, tocsin

SECRET = "hunter2-of-the-firewall"


@pytest.fixture
def data_dir(server: ApiServer) -> Path:
    return server.settings.data_dir


def _add(data_dir: Path, *arguments: object, stdin: str = "", **environment: str) -> CommandOutcome:
    usual = ("connection", "add", "fw-secrets", "--connector", "palo_alto", "--no-check")
    address = ("--set", "base_url=https://firewall.example")
    return tocsin(*usual, *address, *arguments, "--data-dir", data_dir, stdin=stdin, **environment)


@pytest.mark.parametrize(
    ("connector", "name"),
    [("palo_alto", "api_key"), ("jira", "api_token"), ("of-a-newer-server", "admin_password")],
)
def test_a_secret_on_the_command_line_is_refused(data_dir: Path, connector: str, name: str) -> None:
    refused = tocsin(
        "connection", "add", "x", "--connector", connector, "--set", f"{name}={SECRET}",
        "--data-dir", data_dir,
    )  # fmt: skip
    assert refused.returncode == 1
    assert f"--set {name}=...: is a secret" in refused.stderr
    assert f"--secret-file {name}=FILE" in refused.stderr
    assert SECRET not in refused.stdout + refused.stderr


def test_a_secret_comes_from_a_pipe_a_file_or_a_variable(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    ways = (
        _add(data_dir, "--secret", "api_key", stdin=f"{SECRET}\n"),
        _add(data_dir, "--secret-file", f"api_key={tmp_path / 'secret'}"),
        _add(data_dir, "--secret-env", "api_key=FIREWALL_KEY", FIREWALL_KEY=SECRET),
    )
    for done in ways:
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--secret", "api_key"), "nothing to read"),
        (("--secret-env", "api_key=NOT_SET_ANYWHERE"), "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_a_secret_that_is_not_there_is_named(
    data_dir: Path, arguments: tuple[str, ...], expected: str
) -> None:
    refused = _add(data_dir, *arguments)
    assert refused.returncode == 1
    assert expected in refused.stderr
