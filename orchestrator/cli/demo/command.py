"""`tocsin demo`: does the whole of it work on this machine? Real alerts in, people asked, hosts contained, and the proof checked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

Keep = Annotated[bool, typer.Option("--keep", help="Leave the stack up, and say where it listens.")]
Folder = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        metavar="D",
        help="Where the demo keeps its data; what an earlier demo left is removed.",
    ),
]


def demo(keep: Keep = False, data_dir: Folder = Path(".demo")) -> None:
    """Start the stack with the lab, send what products send, answer what is asked, and check all that came of it."""
    from orchestrator.cli.demo.play import play

    raise typer.Exit(0 if asyncio.run(play(data_dir, keep=keep)) else 1)
