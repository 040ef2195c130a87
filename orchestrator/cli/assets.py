"""`tocsin asset`: what do we know of our own things?"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.options import AsJson, Config, DataDir, actor, read_json, read_text, within
from orchestrator.cli.show import listing, say
from orchestrator.configuration import assets
from orchestrator.domain.errors import Invalid

app = typer.Typer(help="The inventory: which hosts, users and addresses are critical.", no_args_is_help=True)

_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0", ""}


@app.command("import")
def import_assets(
    file: Annotated[Path, typer.Argument(help="JSON list of objects, or CSV: type, value, kind, critical, tags (apart by spaces).")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Add assets, or replace what is known of them."""
    rows = _rows_of_csv(file) if file.suffix.lower() == ".csv" else read_json(file)
    if not isinstance(rows, list):
        message = f"{file}: must hold a JSON list of assets"
        raise Invalid(message)
    within(data_dir, config, lambda runtime: assets.import_assets(runtime, rows, actor=actor()))
    say(f"{len(rows)} assets are imported")


@app.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """All assets."""
    listing(within(data_dir, config, assets.list_assets), ("type", "value", "kind", "critical", "tags"), as_json=as_json)


def _rows_of_csv(file: Path) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(read_text(file)))
    return [_row(row, f"{file}, line {reader.line_num}") for row in reader]


def _row(row: dict[str, Any], place: str) -> dict[str, Any]:
    said = str(row.get("critical") or "").strip().lower()
    if said not in _TRUE | _FALSE:
        message = f"{place}: critical is {said!r}; write true or false"
        raise Invalid(message)
    return {**row, "critical": said in _TRUE, "tags": str(row.get("tags") or "").split()}
