"""`tocsin doctor`: what is wrong with this installation, and how is it mended?"""

from __future__ import annotations

import asyncio
import shutil
import socket
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import typer

from orchestrator.cli.options import Config, DataDir
from orchestrator.cli.output import say
from orchestrator.cli.stack import ports
from orchestrator.domain.errors import TocsinError
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings

_LITTLE = 1024**3  # bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `wrong` has a mend in its text."""

    level: Literal["good", "note", "wrong"]
    text: str


def doctor(data_dir: DataDir = None, config: Config = None) -> None:
    """Look at everything that Tocsin needs; exit 1 when something is wrong."""
    found = asyncio.run(_collect(Settings.load(config, data_dir=data_dir)))
    for finding in found:
        say(f"{finding.level:6} {finding.text}")
    raise typer.Exit(1 if any(finding.level == "wrong" for finding in found) else 0)


async def _collect(settings: Settings) -> list[Finding]:
    return [finding async for finding in _examine(settings)]


async def _examine(settings: Settings) -> AsyncIterator[Finding]:
    yield Finding("good", f"Python {sys.version.split()[0]}")
    yield Finding("good", f"settings: {settings.environment}, data in {settings.data_dir}")
    for finding in _disk(settings.data_dir):
        yield finding
    if not settings.data_dir.exists():
        yield Finding(
            "note", f"{settings.data_dir}: nothing was started here yet; `tocsin up` makes it"
        )
        yield _temporal_binary(settings)
        return
    yield _temporal_binary(settings)
    yield _private(settings.admin_key_path)
    try:
        runtime = open_runtime(settings)
    except TocsinError as error:
        yield Finding("wrong", str(error))
        return
    try:
        async for finding in _inside(runtime):
            yield finding
    finally:
        await runtime.close()


async def _inside(runtime: Runtime) -> AsyncIterator[Finding]:
    database = await _database(runtime)
    yield database
    settings = runtime.settings
    listening = ports.remembered(settings.data_dir)
    address = (
        listening.temporal_address if listening and settings.temporal_bundled else None
    ) or settings.temporal_address
    up = listening is not None and ports.alive(listening.pid)
    yield _reaches(address, expected=up or not settings.temporal_bundled)
    if listening and up:
        yield await _api(listening)
    elif listening:
        yield Finding("note", "no stack runs on this data directory now; `tocsin up` starts it")
    if database.level == "good":
        async for finding in _connections(runtime):
            yield finding


def _disk(folder: Path) -> list[Finding]:
    there = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
    free = shutil.disk_usage(there).free
    if free < _LITTLE:
        return [
            Finding(
                "wrong",
                f"{there}: only {free // 1024**2} MiB are free; make room, or set data_dir to another disk",
            )
        ]
    found = [Finding("good", f"{free // 1024**3} GiB are free")]
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        found.append(
            Finding("wrong", f"{folder}: others may look into it; run: chmod 700 {folder}")
        )
    return found


def _temporal_binary(settings: Settings) -> Finding:
    from orchestrator.cli.stack.programs import temporal_binary

    if not settings.temporal_bundled:
        return Finding("good", f"Temporal is somebody else's, at {settings.temporal_address}")
    try:
        return Finding("good", f"Temporal's server: {temporal_binary()}")
    except TocsinError as error:
        return Finding("wrong", str(error))


def _private(path: Path) -> Finding:
    if not path.exists():
        return Finding(
            "note", f"{path}: is not there; further keys are made with `tocsin key create`"
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding(
            "wrong",
            f"{path}: others may read it; run: chmod 600 {path}, and replace the key if somebody did",
        )
    return Finding("good", f"{path}: readable to its owner alone")


async def _database(runtime: Runtime) -> Finding:
    from orchestrator.store.migrate import current_revision, newest_revision

    try:
        current, newest = await current_revision(runtime.store), newest_revision()
    except Exception as error:  # noqa: BLE001  a driver raises what it likes; a diagnosis must go on
        return Finding(
            "wrong",
            f"the database does not answer ({type(error).__name__}: {error}); check database_url and that it runs",
        )
    if current != newest:
        return Finding(
            "wrong",
            f"the database is at revision {current}, this version needs {newest}; run: tocsin migrate",
        )
    return Finding("good", f"database: answers, revision {current}")


def _reaches(address: str, *, expected: bool) -> Finding:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return Finding("good", f"Temporal answers at {address}")
    except OSError as error:
        if expected:
            return Finding(
                "wrong",
                f"Temporal does not answer at {address} ({error}); start it, or set temporal_address",
            )
        return Finding("note", f"Temporal does not run at {address}; `tocsin up` starts it")


async def _api(listening: ports.Listening) -> Finding:
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            reply = await client.get(f"{listening.api_url}/readyz")
    except httpx.HTTPError as error:
        return Finding(
            "wrong",
            f"the API does not answer at {listening.api_url} ({error}); look into the logs folder of the data directory",
        )
    return Finding(
        "good" if reply.is_success else "wrong", f"API at {listening.api_url}: {reply.text[:300]}"
    )


async def _connections(runtime: Runtime) -> AsyncIterator[Finding]:
    from orchestrator.connections import connections

    for view in await connections.list_connections(runtime):
        try:
            said = await connections.check_connection(runtime, view.name)
        except TocsinError as error:
            yield Finding(
                "wrong",
                f"connection {view.name} ({view.connector}): {error}; mend it with `tocsin connection add`",
            )
        else:
            yield Finding("good", f"connection {view.name} ({view.connector}): {said}")
