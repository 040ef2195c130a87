"""A migrated database has exactly the declared tables, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from orchestrator.domain.errors import Conflict
from orchestrator.store.migrate import current_revision, migrate, newest_revision
from orchestrator.store.session import Store
from tests.harness.databases import opened


async def test_migrated_schema_is_the_declared_one(
    tmp_path: Path, empty_database: str | None
) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, SQLModel.metadata))

    async with opened(tmp_path, empty_database) as [rt], rt.store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        assert await current_revision(rt.store) == newest_revision()


async def test_concurrent_migrations_succeed(tmp_path: Path, empty_database: str | None) -> None:
    url = (
        empty_database.replace("postgresql://", "postgresql+asyncpg://")
        if empty_database
        else f"sqlite+aiosqlite:///{tmp_path}/t.db"
    )
    stores = [Store(url) for _ in range(4)]
    try:
        await asyncio.gather(*(migrate(store) for store in stores))
        assert await current_revision(stores[0]) == newest_revision()
    finally:
        for store in stores:
            await store.close()


async def test_database_of_a_newer_tocsin_is_refused(
    tmp_path: Path, empty_database: str | None
) -> None:
    async with opened(tmp_path, empty_database) as [rt]:
        async with rt.store.write() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(Conflict, match="a newer Tocsin"):
            await migrate(rt.store)
