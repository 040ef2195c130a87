"""`tocsin doctor`: what is wrong with an installation on this machine, and how to fix it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli.command import Answer, OutputFormat
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import Config, DataDir
from orchestrator.domain.errors import TocsinError

if TYPE_CHECKING:
    from orchestrator.cli.api_client import Api
    from orchestrator.cli.stack.ports import Listening
    from orchestrator.runtime import Runtime
    from orchestrator.settings import Settings

_MIN_FREE = 1024**3  # bytes


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one check; the text of a wrong one contains the fix."""

    level: Literal["good", "note", "wrong"]
    text: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Check everything that Tocsin needs on this machine; exit code 1 if something is wrong."""
    from orchestrator.settings import Settings

    found = list(_examine(Settings.load(config, data_dir=data_dir)))
    text = "\n".join(f"{each.level:6} {each.text}" for each in found)
    Answer([asdict(each) for each in found], text).print(
        OutputFormat.JSON if as_json else OutputFormat.TABLE
    )
    if any(each.level == "wrong" for each in found):
        raise typer.Exit(ExitCode.NEGATIVE)


def _examine(settings: Settings) -> Iterator[Diagnosis]:
    yield Diagnosis("good", f"Python {sys.version.split()[0]}")
    yield Diagnosis("good", f"settings: {settings.environment}, data in {settings.data_dir}")
    yield from _disk(settings.data_dir)
    yield _temporal_binary(settings)
    if not settings.data_dir.exists():
        yield Diagnosis("note", f"{settings.data_dir}: does not exist yet; `tocsin up` creates it")
        return
    yield _admin_key(settings.admin_key_path)
    database = asyncio.run(_database(settings))
    yield database
    yield from _stack(settings, check_connections=database.level == "good")


def _disk(folder: Path) -> Iterator[Diagnosis]:
    existing = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
    free = shutil.disk_usage(existing).free
    if free < _MIN_FREE:
        yield Diagnosis(
            "wrong",
            f"{existing}: only {free // 1024**2} MiB free; free some space, or set data_dir to "
            "another disk",
        )
        return
    yield Diagnosis("good", f"{free // 1024**3} GiB free")
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield Diagnosis("wrong", f"{folder}: other users can read it; run `chmod 700 {folder}`")


def _temporal_binary(settings: Settings) -> Diagnosis:
    from orchestrator.cli.stack.programs import temporal_binary

    if not settings.temporal_bundled:
        return Diagnosis("good", f"Temporal: external, at {settings.temporal_address}")
    try:
        return Diagnosis("good", f"Temporal server: {temporal_binary()}")
    except TocsinError as error:
        return Diagnosis("wrong", str(error))


def _admin_key(path: Path) -> Diagnosis:
    if not path.exists():
        return Diagnosis(
            "note", f"{path}: does not exist; `tocsin key create` creates further keys"
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Diagnosis(
            "wrong",
            f"{path}: other users can read it; run `chmod 600 {path}`, and replace the key if "
            "anyone did",
        )
    return Diagnosis("good", f"{path}: readable by its owner only")


async def _database(settings: Settings) -> Diagnosis:
    from orchestrator.runtime import open_runtime

    try:
        runtime = open_runtime(settings)
    except TocsinError as error:
        return Diagnosis("wrong", str(error))
    try:
        return await _revision(runtime)
    finally:
        await runtime.close()


async def _revision(runtime: Runtime) -> Diagnosis:
    from orchestrator.store.migrate import current_revision, newest_revision

    try:
        current, newest = await current_revision(runtime.store), newest_revision()
    except Exception as error:  # noqa: BLE001  drivers raise errors of their own; the diagnosis continues
        return Diagnosis(
            "wrong",
            f"the database does not answer ({type(error).__name__}: {error}); check that it runs, "
            "and database_url",
        )
    if current != newest:
        return Diagnosis(
            "wrong",
            f"the database is at revision {current}, this version needs {newest}; "
            "run `tocsin migrate`",
        )
    return Diagnosis("good", f"database: revision {current}")


def _stack(settings: Settings, *, check_connections: bool) -> Iterator[Diagnosis]:
    from orchestrator.cli.stack import ports

    listening = ports.load_listening(settings.data_dir)
    bundled = listening.temporal_address if listening and settings.temporal_bundled else None
    running = listening is not None and ports.is_alive(listening.pid)
    required = running or not settings.temporal_bundled
    yield _temporal(bundled or settings.temporal_address, required=required)
    if listening is None:
        return
    if not running:
        yield Diagnosis("note", "no stack runs on this data directory; `tocsin up` starts it")
        return
    answer = _api(listening)
    yield answer
    if answer.level == "good" and check_connections:
        yield from _connections(settings, listening)


def _temporal(address: str, *, required: bool) -> Diagnosis:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return Diagnosis("good", f"Temporal answers at {address}")
    except OSError as error:
        if required:
            return Diagnosis(
                "wrong",
                f"Temporal does not answer at {address} ({error}); start it, or set "
                "temporal_address",
            )
        return Diagnosis("note", f"Temporal does not run at {address}; `tocsin up` starts it")


def _api(listening: Listening) -> Diagnosis:
    import httpx

    url = listening.api_url
    try:
        reply = httpx.get(f"{url}/readyz", timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        return Diagnosis(
            "wrong",
            f"the API does not answer at {url} ({error}); see its log in the logs folder of the "
            "data directory",
        )
    return Diagnosis("good" if reply.is_success else "wrong", f"API at {url}: {reply.text[:300]}")


def _connections(settings: Settings, listening: Listening) -> Iterator[Diagnosis]:
    """Yield whether each credential works, as the running stack finds."""
    from orchestrator.cli.api_client import Api

    try:
        key = settings.admin_key_path.read_text("ascii").strip()
        with Api(listening.api_url, key) as api:
            yield from _check_connections(api)
    except (OSError, TocsinError) as error:
        yield Diagnosis("note", f"connections were not checked ({error})")


def _check_connections(api: Api) -> Iterator[Diagnosis]:
    for view in api.items("/v1/connections"):
        name = f"connection {view['name']} ({view['connector']})"
        try:
            checked = api.post(f"/v1/connections/{view['name']}/check", seconds=60)
        except TocsinError as error:
            yield Diagnosis("wrong", f"{name}: {error}; replace it with `tocsin connection add`")
        else:
            yield Diagnosis("good", f"{name}: {checked['answer']}")
