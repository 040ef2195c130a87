"""Verbs for the beginning and the editor: `new`, `schema` and `editor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli.command import Answer, Api, draft_command, local_command
from orchestrator.cli.output import print_json

if TYPE_CHECKING:
    from orchestrator.playbook.catalogue import Catalogue


Template = Literal["containment", "enrichment", "ticket"]


def register(app: typer.Typer) -> None:
    """Add the verbs to `tocsin playbook`."""
    local_command(app, "new")(new)
    draft_command(app, "schema")(show_schema)
    local_command(app, "editor")(set_up)


def new(
    name: Annotated[str, typer.Argument(help="The playbook's name: a-z, 0-9 and -.")],
    template: Annotated[
        Template,
        typer.Option("--from", help="The template to begin with."),
    ] = "containment",
    folder: Annotated[
        Path, typer.Option("--dir", help="The folder that the playbook's folder is created in.")
    ] = Path("playbooks"),
    title: Annotated[str | None, typer.Option(help="One line for people.")] = None,
) -> Answer:
    """Create a playbook with passing tests from a template; existing files are kept."""
    from orchestrator.playbook.schema.scaffold import write_scaffold

    written = [str(path) for path in write_scaffold(folder, name, template, title)]
    place = folder / name
    next_ = f"next: edit it, then `tocsin playbook check {place}`, `tocsin playbook test {place}`"
    return Answer(written, "\n".join([*(f"{path} written" for path in written), next_]))


def show_schema(
    api: Api | None,
    of: Annotated[
        Literal["playbook", "tests", "policy"], typer.Option("--of", help="The kind of file.")
    ] = "playbook",
) -> Answer:
    """Print the JSON Schema that editors check files with.

    Offline, with the usual connection names; with --url, --context or --data-dir, with those of the
    installation.
    """
    if api is not None:
        schema = api.get("/v1/authoring/schema", of=of)
        return Answer(schema, lambda: print_json(schema))
    from orchestrator.authoring.editor import policy_schema, tests_schema
    from orchestrator.playbook.schema.editor import json_schema

    match of:
        case "playbook":
            schema = json_schema(_usual_catalogue())
        case "tests":
            schema = tests_schema(_usual_catalogue())
        case "policy":
            schema = policy_schema()
    return Answer(schema, lambda: print_json(schema))


def set_up(
    folder: Annotated[Path, typer.Argument(help="The folder that is open in the editor.")] = Path(),
) -> Answer:
    """Set up VS Code: completion, descriptions and errors for playbooks, tests and policies."""
    from orchestrator.authoring.editor import set_up_editor

    written = [str(path) for path in set_up_editor(folder, _usual_catalogue())]
    lines = [f"{path} written" for path in written]
    next_ = "next: install the extension `redhat.vscode-yaml` and open the folder"
    return Answer(written, "\n".join([*lines, next_]))


def _usual_catalogue() -> Catalogue:
    from orchestrator.connections.catalogue import usual_catalogue

    return usual_catalogue()
