"""The server, the world and the rig that the tests of whole runs are given."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.playbook.catalogue import Catalogue
from tests.harness.run_rig import Rig
from tests.harness.world import World

SERVER = str(Path(sys.executable).with_name("temporal-test-server"))  # from its package


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return usual_catalogue()


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=SERVER
    ) as env:
        yield env


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def rig(server: WorkflowEnvironment, world: World, catalogue: Catalogue) -> Rig:
    return Rig(server, world, catalogue)
