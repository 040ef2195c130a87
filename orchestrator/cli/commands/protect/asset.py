"""`tocsin asset`: the inventory of hosts, users, addresses and networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.command import Answer, Api, api_command, noun, table
from orchestrator.cli.filters import Name
from orchestrator.cli.options import read_json, read_text
from orchestrator.domain.errors import Invalid

app = noun("The inventory of hosts, users, addresses and networks.")


@api_command(app, "import")
def import_assets(
    api: Api,
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV: type,value,kind,critical,tags (tags separated by ; or |), or a JSON list."
        ),
    ],
) -> Answer:
    """Add or replace assets: all in the file, or none."""
    try:
        if file.suffix.lower() == ".csv":
            answer = api.post_csv("/v1/assets", read_text(file))
        else:
            answer = api.post("/v1/assets", _read_list(file))
    except Invalid as error:
        lines = str(error).splitlines()
        named = (line if line.startswith(str(file)) else f"{file}: {line}" for line in lines)
        raise Invalid("\n".join(named)) from error
    return Answer(answer, f"{answer['imported']} assets imported")


@api_command(app, "list")
def list_assets(
    api: Api,
    name: Name = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only of this kind.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    critical: Annotated[
        bool | None,
        typer.Option("--critical/--not-critical", help="Only critical ones, or only others."),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="CSV, as `tocsin asset import` reads it.")
    ] = False,
) -> Answer:
    """List assets by type and value."""
    query: dict[str, Any] = {
        "name": name,
        "type": type_,
        "kind": kind,
        "tag": tag,
        "critical": critical,
    }
    found = api.items("/v1/assets", **query)
    if as_csv:
        return Answer(found, _write_csv(found), raw=True)
    return table(found, "type", "value", "kind", "critical", "tags")


@api_command(app, "remove")
def remove(
    api: Api,
    type_: Annotated[
        str, typer.Argument(metavar="TYPE", help="host, user, email, address, network, ...")
    ],
    value: Annotated[str, typer.Argument(help="The asset's name or address.")],
) -> Answer:
    """Remove an asset; it is unknown from now on."""
    api.delete("/v1/assets", type=type_, value=value)
    return Answer({"type": type_, "value": value}, f"asset {type_} {value} removed")


def _read_list(file: Path) -> list[Any]:
    rows = read_json(file)
    if not isinstance(rows, list):
        raise Invalid(f"{file}: must hold a JSON list of assets")
    return rows


def _write_csv(found: list[dict[str, Any]]) -> str:
    from orchestrator.assets.csv_import import write_csv
    from orchestrator.assets.inventory import Asset

    return write_csv(Asset.model_validate(each) for each in found)
