"""Commands speak the words of the API: their choices are its enums, and the commands that messages quote exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.core import TyperGroup

from api.app import describe_app
from orchestrator.authoring.backtest.read_resolver import ReadFallback
from orchestrator.cli.app import app
from orchestrator.cli.commands.administer.key import KeyRole
from orchestrator.cli.commands.administer.source import Scheme as SourceScheme
from orchestrator.cli.commands.author.backtest import Reads
from orchestrator.cli.commands.respond import approval, containment
from orchestrator.containments.queries import StateFilter
from orchestrator.domain.access import Role
from orchestrator.domain.approval import ApprovalState
from orchestrator.intake.authenticate import Scheme

ROOT = Path(__file__).parents[2]
SHARED_FILTERS = {
    "since",
    "until",
    "person",
    "target",
    "source",
    "playbook",
    "class",
    "severity",
    "observable",
}
QUOTED = re.compile(r"`tocsin ([a-z][a-z -]*[a-z])")


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (list(KeyRole), Role),
        (get_args(SourceScheme), Scheme),
        (get_args(Reads), ReadFallback),
        (get_args(containment.State), StateFilter),
        (get_args(approval.State), [*ApprovalState, "all"]),
    ],
)
def test_the_choices_of_an_option_are_those_of_the_api(choices: Any, words: Any) -> None:
    assert {str(each) for each in choices} == {str(each) for each in words}


@pytest.mark.parametrize(
    ("noun", "route"),
    [
        ("alert", "/v1/alerts"),
        ("approval", "/v1/approvals"),
        ("audit", "/v1/audit"),
        ("containment", "/v1/containments"),
        ("incident", "/v1/incidents"),
        ("run", "/v1/runs"),
        ("task", "/v1/tasks"),
    ],
)
def test_every_shared_filter_of_a_list_is_an_option(noun: str, route: str) -> None:
    parameters = describe_app().openapi()["paths"][route]["get"]["parameters"]
    root: Any = typer.main.get_command(app)
    options = {name for each in root.commands[noun].commands["list"].params for name in each.opts}
    wanted = SHARED_FILTERS & {each["name"] for each in parameters}
    assert {f"--{each}" for each in wanted} <= options


def _quoted() -> Iterator[tuple[str, list[str]]]:
    """The commands that texts of the code quote, with their files."""
    for package in ("orchestrator", "api", "connectors"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for words in QUOTED.findall(node.value):
                        yield str(file.relative_to(ROOT)), words.split()


def test_every_command_that_a_text_quotes_exists() -> None:
    root = typer.main.get_command(app)
    missing = []
    for file, words in _quoted():
        command: Any = root
        for word in words:
            if not isinstance(command, TyperGroup):
                break  # an argument
            if word not in command.commands:
                missing.append(f"{file}: tocsin {' '.join(words)}")
                break
            command = command.commands[word]
    assert not missing
