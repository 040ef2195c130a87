"""`tocsin connector`: the code for products, what it can do, and new connectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, local_command, noun, table
from orchestrator.cli.output import print_line
from orchestrator.cli.tables import print_table

app = noun("Connectors: the code for products, and what it can do.")


@local_command(app, "new")
def new(
    name: Annotated[str, typer.Argument(help="The package, such as acme_wall.")],
    capability: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="edr, firewall, identity, messaging, reputation or ticketing.",
        ),
    ],
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="The root folder of the source checkout.")
    ] = Path(),
) -> Answer:
    """Write a connector with emulator, tests and README that pass as they stand."""
    from connectors.scaffold.new_connector import create_connector, format_files, write_pages

    files = create_connector(root, name, capability)
    format_files(root, files)
    write_pages(root)
    paths = [str(path) for path in files]
    return Answer(
        {"name": name, "capability": capability, "files": paths},
        "\n".join(
            [*paths, f"next: replace the API in connectors/{name}/client.py and emulator.py"]
        ),
    )


@local_command(app, "list")
def list_connectors() -> Answer:
    """List the connectors of this installation and the capabilities that they have."""
    from connectors.registry import CONNECTORS

    return table(
        [
            {
                "name": each.name,
                "title": each.title,
                "capabilities": sorted({action.capability for action in each.bound.values()}),
                "actions": list(each.bound),
            }
            for each in CONNECTORS
        ],
        "name",
        "title",
        "capabilities",
    )


@local_command(app, "show")
def show_connector(
    name: Annotated[str, typer.Argument(help="The connector, such as nftables.")],
) -> Answer:
    """Show a connector: its settings, and its actions with what they take."""
    from orchestrator.connections.connectors import describe_connector

    found = describe_connector(name).model_dump(mode="json")
    return Answer(found, lambda: _print(found))


def _print(found: dict[str, Any]) -> None:
    print_line(f"{found['name']}: {found['title']}. {found['summary']}\n")
    print_table(found["settings"], ("name", "type", "required", "default", "secret", "summary"))
    print_line("")
    actions = [
        {**each, "takes": list(each["input_schema"].get("properties", ()))}
        for each in found["actions"]
    ]
    print_table(actions, ("name", "capability", "effect", "takes", "can_undo", "summary"))
    for name, reason in found["unsupported"].items():
        print_line(f"not supported: {name}: {reason}")
