"""`tocsin playbook new`, `schema` and `editor`: how an author begins, and what helps while writing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.authoring.editor import schema_of_policies, schema_of_tests, set_up_editor
from orchestrator.cli.options import Config, DataDir, within
from orchestrator.cli.output import say, show_json
from orchestrator.connections.catalogue import load_catalogue, usual_catalogue
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.schema.editor import json_schema
from orchestrator.playbook.schema.scaffold import TEMPLATES, scaffold


class Template(StrEnum):
    """What a playbook begins as."""

    CONTAINMENT = "containment"
    ENRICHMENT = "enrichment"
    TICKET = "ticket"


class Kind(StrEnum):
    """What a schema is of."""

    PLAYBOOK = "playbook"
    TESTS = "tests"
    POLICY = "policy"


_ABOUT = "; ".join(f"{name}: {about}" for name, about in TEMPLATES.items())


def new(
    name: Annotated[str, typer.Argument(help="What it is called: a-z, 0-9 and -.")],
    template: Annotated[Template, typer.Option("--from", help=f"{_ABOUT}.")] = Template.CONTAINMENT,
    folder: Annotated[Path, typer.Option("--dir", help="Where its folder is made.")] = Path(
        "playbooks"
    ),
    title: Annotated[str | None, typer.Option(help="One line for people.")] = None,
) -> None:
    """Begin a playbook, with tests that pass as they stand. Writes over nothing."""
    for path in scaffold(folder, name, template.value, title):
        say(f"{path} is written")
    say(
        f"next: change it, then `tocsin playbook check {folder / name}` and `tocsin playbook test {folder / name}`"
    )


def schema(
    kind: Annotated[Kind, typer.Option("--of", help="Of which file.")] = Kind.PLAYBOOK,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """The JSON Schema that an editor checks files with; with a data directory it knows the connections there."""
    match kind:
        case Kind.PLAYBOOK:
            show_json(json_schema(_catalogue(data_dir, config)))
        case Kind.TESTS:
            show_json(schema_of_tests(_catalogue(data_dir, config)))
        case Kind.POLICY:
            show_json(schema_of_policies())


def editor(
    folder: Annotated[
        Path, typer.Argument(help="The folder that is opened in the editor.")
    ] = Path(),
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Set VS Code up: completion, descriptions and errors while playbooks, tests and policies are written."""
    for path in set_up_editor(folder, _catalogue(data_dir, config)):
        say(f"{path} is written")
    say("install the extension `redhat.vscode-yaml`, and open the folder")


def _catalogue(data_dir: Path | None, config: Path | None) -> Catalogue:
    """The connections of a data directory; without one, the usual names."""
    if data_dir is None and config is None:
        return usual_catalogue()
    return within(data_dir, config, load_catalogue)
