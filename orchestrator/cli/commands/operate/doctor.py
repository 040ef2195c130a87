"""`tocsin doctor`: what is wrong with an installation on this machine, and how to fix it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.command import Answer, OutputFormat
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import Config, DataDir

if TYPE_CHECKING:
    from orchestrator.cli.diagnosis.model import Diagnosis
    from orchestrator.settings import Settings


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Check everything that Tocsin needs on this machine; exit code 1 if something is wrong."""
    from orchestrator.settings import Settings

    found = _examine(Settings.load(config, data_dir=data_dir))
    text = "\n".join(f"{each.level:6} {each.text}" for each in found)
    Answer([asdict(each) for each in found], text).print(
        OutputFormat.JSON if as_json else OutputFormat.TABLE
    )
    if any(each.level == "wrong" for each in found):
        raise typer.Exit(ExitCode.NEGATIVE)


def _examine(settings: Settings) -> list[Diagnosis]:
    from orchestrator.cli.diagnosis.listener import examine_listener
    from orchestrator.cli.diagnosis.machine import examine_machine
    from orchestrator.cli.diagnosis.stack import examine_stack

    return [
        *examine_machine(settings),
        *examine_listener(settings),
        *asyncio.run(_examine_installation(settings)),
        *examine_stack(settings),
    ]


async def _examine_installation(settings: Settings) -> list[Diagnosis]:
    from orchestrator.cli.diagnosis.content import examine_content
    from orchestrator.cli.diagnosis.files import examine_files
    from orchestrator.cli.diagnosis.mail import examine_mail
    from orchestrator.cli.diagnosis.runs import examine_runs
    from orchestrator.cli.diagnosis.trail import examine_sinks, examine_trail

    found, rt = await examine_files(settings)
    if rt is not None:
        try:
            found += await examine_content(rt)
            found += await examine_runs(rt)
            found += await examine_trail(rt)
        finally:
            await rt.close()
    return [*found, *examine_sinks(settings), *await examine_mail(settings)]
