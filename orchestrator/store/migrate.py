"""Migration of the database to the revision that this version needs, by one process at a time."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from orchestrator.domain.errors import Conflict
from orchestrator.store.session import Store
from orchestrator.store.sqlite_statistics import write_statistics

_LOCK = 7_262_100


class Revision(StrEnum):
    """How a database's revision compares to the one that this version needs."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


NEWER = (
    "the database is at revision {found}, which this version does not know: a newer Tocsin has "
    "migrated it; install that version"
)
"""What to do about a newer database."""


async def migrate(store: Store) -> None:
    """Migrate the database. Raise Conflict for one that a newer Tocsin has migrated."""
    async with store.engine.connect() as connection:
        # One transaction, which one process holds at a time: all tables are created, or none.
        if store.sqlite:
            await connection.execute(text("BEGIN IMMEDIATE"))
        else:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade)
        if store.sqlite:
            await connection.run_sync(write_statistics)
        await connection.commit()


async def current_revision(store: Store) -> str | None:
    """Return the revision of the database; None for an empty one."""
    async with store.engine.connect() as connection:
        return await connection.run_sync(_revision)


async def revision_state(store: Store) -> Revision:
    """Return how the database's revision compares to the one that this version needs."""
    found = await current_revision(store)
    known = _known_revisions()
    if found is None:
        return Revision.EMPTY
    if found not in known:
        return Revision.NEWER
    return Revision.CURRENT if found == newest_revision() else Revision.OLDER


def newest_revision() -> str | None:
    """Return the revision that this version needs."""
    return _scripts().get_current_head()


def _upgrade(connection: Connection) -> None:
    config = _config(connection)
    found = _revision(connection)
    if found is not None and found not in _known_revisions():
        raise Conflict(NEWER.format(found=found))
    if found != newest_revision():
        command.upgrade(config, "head")


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


@cache
def _known_revisions() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
