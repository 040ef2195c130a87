"""`tocsin up`, its parts alone, and `tocsin migrate`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import Config, DataDir
from orchestrator.cli.output import print_line

if TYPE_CHECKING:
    from orchestrator.settings import Settings

Port = Annotated[
    int | None, typer.Option(min=1, max=65_535, help="The API's port; or TOCSIN_PORT.")
]
LabPort = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="The lab's port; without it, chosen once and kept."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=64,
        help="How many workers, each a process on one core; or TOCSIN_WORKERS. By default half "
        "of the cores, on SQLite at most 4.",
    ),
]


def up(
    data_dir: DataDir = None,
    config: Config = None,
    port: Port = None,
    lab: Annotated[
        bool,
        typer.Option(
            "--lab", help="With emulators of all vendors, bound to the usual connections."
        ),
    ] = False,
    lab_port: LabPort = None,
    workers: Workers = None,
) -> None:
    """Run the whole stack on this machine: API, workers and Temporal."""
    from orchestrator.cli.stack.supervisor import StackOptions, run_stack
    from orchestrator.settings import Settings

    settings = Settings.load(config, data_dir=data_dir, port=port, workers=workers)
    options = StackOptions(settings, config, lab=lab or lab_port is not None, lab_port=lab_port)
    asyncio.run(run_stack(options, print_line))


def api(data_dir: DataDir = None, config: Config = None, port: Port = None) -> None:
    """Run the API alone."""
    from api.app import serve
    from orchestrator.cli.stack import parent_death, ports
    from orchestrator.engine.temporal.log_context import forward_core_logs
    from orchestrator.installation.open import require_installation
    from orchestrator.logs import configure_logs
    from orchestrator.settings import Settings
    from orchestrator.tracing.process import exported_traces

    parent_death.watch()
    settings = ports.with_stack_temporal(Settings.load(config, data_dir=data_dir, port=port))
    require_installation(settings)
    configure_logs(settings, "api")
    forward_core_logs()
    listener = ports.inherited_socket() or ports.listen_api(settings)
    with exported_traces(settings, "api"):
        serve(settings, [listener])


def worker(data_dir: DataDir = None, config: Config = None) -> None:
    """Run a worker alone."""
    from orchestrator.cli.stack import parent_death, ports
    from orchestrator.engine.temporal.log_context import forward_core_logs
    from orchestrator.logs import configure_logs
    from orchestrator.settings import Settings
    from orchestrator.tracing.process import exported_traces
    from orchestrator.worker import run_worker

    parent_death.watch()
    settings = ports.with_stack_temporal(Settings.load(config, data_dir=data_dir))
    configure_logs(settings, "worker")
    forward_core_logs()
    with exported_traces(settings, "worker"):
        asyncio.run(run_worker(settings))


def lab(
    port: Annotated[
        int, typer.Option(min=1, max=65_535, help="The port, on the loopback interface.")
    ] = 8082,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Run the emulators of all vendors alone, on the loopback interface, as they have no login."""
    import uvicorn

    from connectors.lab import lab_app
    from orchestrator.cli.stack import parent_death, ports
    from orchestrator.logs import configure_logs
    from orchestrator.runtime import make_data_dir
    from orchestrator.settings import Settings

    parent_death.watch()
    settings = Settings.load(config, data_dir=data_dir)
    configure_logs(settings, "lab")
    folder = settings.data_dir
    listener = ports.inherited_socket() or ports.listen("127.0.0.1", port, "--port")
    if make_data_dir(folder):
        print_line(f"new folder for the state of the lab: {folder.absolute()}")
    options = uvicorn.Config(
        lab_app(state_file=folder / "lab.json"),
        log_level="warning",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(options).run(sockets=[listener])


def migrate(data_dir: DataDir = None, config: Config = None) -> None:
    """Prepare or upgrade the database, and create the default policy and the first admin key."""
    from orchestrator.installation.marker import load_marker
    from orchestrator.settings import Settings

    settings = Settings.load(config, data_dir=data_dir)
    if load_marker(settings.data_dir) is None:
        print_line(f"new installation: {settings.data_dir.absolute()}")
    key = asyncio.run(_prepare(settings))
    print_line(f"database up to date; first admin key: {key}")


async def _prepare(settings: Settings) -> Path:
    from orchestrator import first_start
    from orchestrator.installation.open import open_first

    runtime = await open_first(settings)
    try:
        await first_start.prepare(runtime, settings.lab_url)
    finally:
        await runtime.close()
    return settings.admin_key_path
