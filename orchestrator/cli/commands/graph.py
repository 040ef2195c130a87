"""`tocsin playbook graph` and `tocsin run show --graph`: the picture, as a file or on the screen."""

from __future__ import annotations

import asyncio
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.authoring import graphs
from orchestrator.authoring.graphs import Format
from orchestrator.cli.options import Config, DataDir, read_text, within
from orchestrator.cli.output import console, say
from orchestrator.domain.errors import Invalid


class Picture(StrEnum):
    """As what a picture is drawn."""

    SVG = "svg"
    MERMAID = "mermaid"
    JSON = "json"


Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to; else to the screen."),
]
As = Annotated[Picture, typer.Option("--format", help="As what.")]


def graph(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|FOLDER|NAME[@VERSION]", help="A playbook of yours, or a published one."
        ),
    ],
    as_: As = Picture.SVG,
    output: Output = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Draw a playbook: its steps, effects by colour, approvals, leases. Works offline; an SVG opens in any browser."""
    path = Path(what)
    if path.exists():
        file = path / "playbook.yaml" if path.is_dir() else path
        text = read_text(file)
        if data_dir is None and config is None:
            found = asyncio.run(graphs.draft_picture(None, text, str(file)))
        else:
            found = within(
                data_dir, config, lambda runtime: graphs.draft_picture(runtime, text, str(file))
            )
    else:
        name, version = _named(what)
        found = within(
            data_dir, config, lambda runtime: graphs.playbook_picture(runtime, name, version)
        )
    write(graphs.drawn(found, Format(as_)), output)


def write(text: str, output: Path | None) -> None:
    """Into the file, or to the screen. Raises Invalid where the file cannot be written."""
    if output is None:
        console.out(text, end="", highlight=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise Invalid(
            f"{output}: cannot be written ({error.strerror}); name another file with --output"
        ) from error
    say(f"{output} is written")


def _named(text: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"([a-z0-9][a-z0-9_-]*)(?:@(\d+))?", text)
    if found is None:
        raise Invalid(
            f"{text}: there is no such file, and no playbook is called so; give a file, a folder, or NAME@VERSION"
        )
    return found[1], int(found[2]) if found[2] else None
