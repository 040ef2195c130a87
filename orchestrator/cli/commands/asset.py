"""`tocsin asset`: what do we know of our own things?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.assets import csv_import, inventory
from orchestrator.cli.options import AsJson, Config, DataDir, actor, read_json, read_text, within
from orchestrator.cli.output import console, listing, say
from orchestrator.domain.errors import Invalid
from orchestrator.policy.stops import own_infrastructure

app = typer.Typer(
    help="The inventory: which hosts, users, addresses and networks are ours, and what they are.",
    no_args_is_help=True,
)


@app.command("import")
def import_assets(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV: type,value,kind,critical,tags (tags apart by ; or |); or a JSON list of objects."
        ),
    ],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Add assets, or replace what is known of them: all in the file, or none."""
    try:
        if file.suffix.lower() == ".csv":
            rows = csv_import.read_csv(read_text(file))
        else:
            rows = [(f"asset {number}", row) for number, row in enumerate(_json(file), 1)]
        count = within(
            data_dir,
            config,
            lambda runtime: inventory.import_numbered(runtime, rows, actor=actor()),
        )
    except Invalid as error:
        lines = str(error).splitlines()
        raise Invalid(
            "\n".join(line if line.startswith(str(file)) else f"{file}: {line}" for line in lines)
        ) from error
    say(f"{count} assets are imported")


@app.command("list")
def show(
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="CSV, as `tocsin asset import` reads it.")
    ] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """All assets."""
    found = within(data_dir, config, inventory.list_assets)
    if as_csv:
        console.out(csv_import.write_csv(found), end="", highlight=False)
    else:
        listing(found, ("type", "value", "kind", "critical", "tags"), as_json=as_json)


@app.command("remove")
def remove(
    type_: Annotated[
        str, typer.Argument(metavar="TYPE", help="host, user, email, address, network, ...")
    ],
    value: str,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Forget one asset: it is unknown from now on."""
    within(
        data_dir,
        config,
        lambda runtime: inventory.remove_asset(runtime, type_, value, actor=actor()),
    )
    say(f"asset {type_} {value} is removed")


@app.command("own")
def own(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """What Tocsin itself stands on, as its processes found it: protected without being listed."""
    found = within(data_dir, config, own_infrastructure.list_own)
    listing(found, ("type", "value", "why", "node", "seen_at"), as_json=as_json)


def _json(file: Path) -> list[dict[str, object]]:
    rows = read_json(file)
    if not isinstance(rows, list):
        message = f"{file}: must hold a JSON list of assets"
        raise Invalid(message)
    return rows
