"""Start-up: help and completion import nothing heavy, and every command can be loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from orchestrator.cli.app import COMMANDS, app

HEAVY = ("sqlalchemy", "sqlmodel", "temporalio", "fastapi", "httpx", "cryptography")


def _imported(*arguments: str, key: str = "") -> set[str]:
    """The heavy packages that a command imports."""
    code = (
        "import sys\nfrom orchestrator.cli import main\n"
        f"try:\n    main({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        f"print('imported:', *(each for each in {HEAVY!r} if each in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", "TOCSIN_API_KEY": key},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("playbook", "--help")])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert _imported(*arguments) == set()


def test_a_command_on_the_api_imports_its_client_alone() -> None:
    assert _imported("run", "list", "--url", "http://127.0.0.1:1", key="k") == {"httpx"}


def _leaves(command: object, name: str) -> list[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        return [
            leaf
            for verb, each in command.commands.items()
            for leaf in _leaves(each, f"{name} {verb}")
        ]
    assert isinstance(command, TyperCommand)
    return [(name, command)]


def test_every_command_has_help_for_itself_and_for_each_option() -> None:
    for name, command in _leaves(typer.main.get_command(app), "tocsin"):
        assert command.help, name
        for option in command.params:
            assert getattr(option, "help", None), f"{name} {option.name}"


def test_the_help_of_a_noun_is_that_of_its_module() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for entry in COMMANDS:
        if entry.attribute == "app":
            module = __import__(f"orchestrator.cli.{entry.module}", fromlist=["app"])
            assert module.app.info.help == entry.help, entry.name


def test_every_command_of_an_installation_prints_json_and_takes_the_same_options() -> None:
    local = {"up", "demo", "api", "worker", "lab", "migrate", "login", "backup", "restore"}
    for name, command in _leaves(typer.main.get_command(app), "tocsin"):
        options = {each for option in command.params for each in option.opts}
        if name.split()[1] not in local:
            assert "--json" in options, name
        if "--url" in options and name != "tocsin key enrol":  # who enrols has no key yet
            assert {"--context", "--data-dir"} < options, name


def test_the_completion_of_a_shell_is_a_script() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "--show-completion", "bash"],
        # Without it, the shell is the parent process, and a test has no shell as its parent.
        env={"PATH": "/usr/bin:/bin", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "complete -o default -F _tocsin_completion tocsin" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tocsin ru", {"run"}),
        ("tocsin run ", {"list", "show", "watch", "start", "cancel", "retry", "graph", "record"}),
        ("tocsin approval dec", {"decline"}),
    ],
)
def test_completion_lists_nouns_and_verbs(words: str, expected: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli"],
        env={
            "PATH": "/usr/bin:/bin",
            "_TOCSIN_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - (not words.endswith(" "))),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert set(done.stdout.split()) == expected, done.stderr
