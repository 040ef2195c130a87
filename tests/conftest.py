"""Fixtures for all tests: a database of each kind, and a Temporal server with a world in memory."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.playbook.catalogue import Catalogue
from tests.harness.databases import NewDatabase, postgresql
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

TEST_SERVER = str(Path(sys.executable).with_name("temporal-test-server"))  # from its package


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives until the end: it took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[NewDatabase]:
    """Start one PostgreSQL for all tests."""
    with postgresql() as make:
        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Return the URL of a migrated database. None: SQLite in the data directory."""
    if request.param == "sqlite":
        return None
    make: NewDatabase = request.getfixturevalue("postgresql_server")
    return make(migrated=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest) -> str | None:
    """Return the URL of an empty database. None: SQLite in the data directory."""
    if request.param == "sqlite":
        return None
    make: NewDatabase = request.getfixturevalue("postgresql_server")
    return make()


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Return the catalogue of the shipped connectors."""
    return usual_catalogue()


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """Start a Temporal server that skips time."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=TEST_SERVER
    ) as env:
        yield env


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world in memory."""
    return MemoryWorld()


@pytest.fixture
def rig(server: WorkflowEnvironment, world: MemoryWorld, catalogue: Catalogue) -> RunRig:
    """Return what whole runs are tested on."""
    return RunRig(server, world, catalogue)
