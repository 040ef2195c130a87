"""Checks of the machine: Python, settings, variables, disk, clock, port and Temporal's server."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from connectors.sdk.proxy.choice import Proxy
from orchestrator.cli.diagnosis.model import Diagnosis, good, note, wrong
from orchestrator.cli.stack import ports
from orchestrator.cli.stack.programs import temporal_binary
from orchestrator.connections.open import outbound_proxy
from orchestrator.domain.errors import TocsinError
from orchestrator.settings import Settings, unknown_variables

_MIN_FREE = 1024**3  # bytes
_TIMEX_BYTES = 512  # more than the kernel's struct timex
_UNSYNCHRONIZED = 5  # TIME_ERROR of adjtimex(2)


def examine_machine(settings: Settings) -> Iterator[Diagnosis]:
    """Yield what the machine and its environment say."""
    yield good("python", f"Python {sys.version.split()[0]}")
    yield good("settings", f"settings: {settings.environment}, data in {settings.data_dir}")
    for variable in unknown_variables(os.environ):
        yield (wrong if variable.meant else note)("settings", str(variable))
    yield _disk(settings.data_dir)
    yield _clock()
    yield _temporal_binary(settings)
    if (outbound := outbound_proxy(settings)) is not None:
        yield _proxy(outbound.proxy)


def examine_port(settings: Settings) -> Diagnosis:
    """Return whether `tocsin up` could listen on its port; for a stack that does not run."""
    try:
        ports.listen(settings.host, settings.port, "--port").close()
    except TocsinError as error:
        return wrong("port", str(error))
    return good("port", f"port {settings.port} of {settings.host} is free")


def _disk(folder: Path) -> Diagnosis:
    existing = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
    free = shutil.disk_usage(existing).free
    if free < _MIN_FREE:
        return wrong(
            "disk",
            f"{existing}: only {free // 1024**2} MiB free; free some space, or set data_dir to "
            "another disk",
        )
    return good("disk", f"{free // 1024**3} GiB free")


def _proxy(proxy: Proxy) -> Diagnosis:
    """Return whether the outbound proxy accepts connections."""
    if ports.is_open(proxy.name):
        return good("proxy", f"the outbound proxy {proxy.name} answers")
    return wrong(
        "proxy",
        f"outbound_proxy: {proxy.name} does not answer, and connections are not made without it; "
        "check that it runs, and outbound_proxy",
    )


def _clock() -> Diagnosis:
    """Return whether the kernel's clock is synchronized; only Linux says so."""
    if sys.platform != "linux":
        return note("clock", "the synchronization of the clock is not checked on this system")
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state == _UNSYNCHRONIZED:
        return note(
            "clock",
            "the clock is not synchronized: leases end and signatures are checked by it; start a "
            "time service such as chrony or systemd-timesyncd",
        )
    return good("clock", "the clock is synchronized")


def _temporal_binary(settings: Settings) -> Diagnosis:
    if not settings.temporal_bundled:
        return good("temporal", f"Temporal: external, at {settings.temporal_address}")
    try:
        return good("temporal", f"Temporal server: {temporal_binary()}")
    except TocsinError as error:
        return wrong("temporal", str(error))
