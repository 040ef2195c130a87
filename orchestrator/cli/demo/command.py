"""`tocsin demo`: a stack, real alerts, people who decide, and a check of the outcome."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.exit_codes import ExitCode

Keep = Annotated[bool, typer.Option("--keep", help="Leave the stack running afterwards.")]
Folder = Annotated[
    Path,
    typer.Option(
        "--data-dir", metavar="DIR", help="The demo's data; those of an earlier demo are deleted."
    ),
]


Port = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="The API's port; without it, 8080 or any free one."),
]


def demo(keep: Keep = False, data_dir: Folder = Path(".demo"), port: Port = None) -> None:
    """Run a demonstration: start a stack, send alerts, decide approvals, check the outcome."""
    from orchestrator.cli.demo.play import play

    if not asyncio.run(play(data_dir, keep=keep, port=port)):
        raise typer.Exit(ExitCode.NEGATIVE)
