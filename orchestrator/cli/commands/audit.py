"""`tocsin audit`: what was done, and is the record of it whole?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.audit.verify.check import Report, verify
from orchestrator.cli.options import Config, DataDir, within
from orchestrator.cli.output import say
from orchestrator.crypto.signing import load_public_key

app = typer.Typer(
    help="Export the audit trail, and check an export without us.", no_args_is_help=True
)

_EXIT = {"intact": 0, "altered": 1, "unreadable": 2}


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Written in whole or not at all; mode 600.")],
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Write the whole trail to one file."""
    from orchestrator.audit.sealer import export_trail

    head = within(data_dir, config, lambda runtime: export_trail(runtime, file))
    say(
        f"{file}: {head.events} events in {head.batches} sealed batches; the newest is {head.digest}"
    )


@app.command("verify")
def check(
    file: Annotated[Path, typer.Argument(help="An export.")],
    public_key: Annotated[
        Path | None, typer.Option(help="audit.pub of the data directory: PEM, or 64 hex digits.")
    ] = None,
) -> None:
    """Check an export offline. Exit 0: intact; 1: altered, and where; 2: no export."""
    report = verify(file, load_public_key(public_key) if public_key else None)
    for line in lines_of(report, str(file)):
        say(line)
    raise typer.Exit(_EXIT[report.status])


def lines_of(report: Report, name: str) -> list[str]:
    """The report in sentences."""
    span = f", {report.first} to {report.last}" if report.first else ""
    head = f"{name}: {report.status} ({report.events} events in {report.batches} batches{span})"
    return [
        name + ": unreadable" if report.status == "unreadable" else head,
        *report.problems,
        *(f"note: {note}" for note in report.notes),
    ]
