"""Fixtures: each test that asks for `database` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.databases import NewDatabase, postgresql


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[NewDatabase]:
    """One PostgreSQL for all tests."""
    with postgresql() as make:
        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty database; None: SQLite in the data directory."""
    return (
        None if request.param == "sqlite" else str(request.getfixturevalue("postgresql_server")())
    )
