"""`tocsin up`, and its parts alone: how is Tocsin run?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import Config, DataDir, within
from orchestrator.cli.output import say
from orchestrator.cli.stack import lifeline, ports
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings

Port = Annotated[
    int | None, typer.Option(min=1, max=65_535, help="Where the API listens; else TOCSIN_PORT.")
]
LabPort = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="Where the lab listens; else chosen, and kept."),
]


def up(
    data_dir: DataDir = None,
    config: Config = None,
    port: Port = None,
    lab: Annotated[
        bool,
        typer.Option(
            "--lab", help="With emulators of every vendor, bound to the usual connections."
        ),
    ] = False,
    lab_port: LabPort = None,
) -> None:
    """Run the whole stack on this machine: API, worker, Temporal, and the lab where asked for."""
    from orchestrator.cli.stack.supervisor import Wanted
    from orchestrator.cli.stack.supervisor import up as run

    settings = Settings.load(config, data_dir=data_dir, port=port)
    asyncio.run(
        run(Wanted(settings, config, lab=lab or lab_port is not None, lab_port=lab_port), say)
    )


def api(data_dir: DataDir = None, config: Config = None, port: Port = None) -> None:
    """Run the API alone."""
    from api.app import serve

    lifeline.hold()
    listener = ports.inherited()
    serve(Settings.load(config, data_dir=data_dir, port=port), [listener] if listener else None)


def worker(data_dir: DataDir = None, config: Config = None) -> None:
    """Run a worker alone."""
    from orchestrator.worker import run_worker

    lifeline.hold()
    asyncio.run(run_worker(Settings.load(config, data_dir=data_dir)))


def lab(
    port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Where it listens, on the loopback.")
    ] = 8082,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Run the lab alone: an emulator of every vendor. It has no login, so it listens on the loopback only."""
    import uvicorn

    from connectors.lab import lab_app

    lifeline.hold()
    folder = Settings.load(config, data_dir=data_dir).data_dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = uvicorn.Config(
        lab_app(state_file=folder / "lab.json"),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    listener = ports.inherited()
    uvicorn.Server(options).run(sockets=[listener] if listener else None)


def migrate(data_dir: DataDir = None, config: Config = None) -> None:
    """Bring the database to this version, and make what a first start makes."""
    from orchestrator import first_start

    async def prepare(runtime: Runtime) -> Path:
        await first_start.prepare(runtime, runtime.settings.lab_url)
        return runtime.settings.admin_key_path

    key = within(data_dir, config, prepare)
    say(f"the database is up to date; the first admin key is in {key}")
