"""The server, the world and the rig that the tests of whole runs are given."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from run_rig import Rig
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from world import World

from connectors.capabilities import CAPABILITIES
from orchestrator.playbook.catalogue import ActionType, Catalogue

SERVER = str(Path(sys.executable).with_name("temporal-test-server"))  # from its package


def usual_catalogue() -> Catalogue:
    """Every action of every capability, under its usual connection name."""
    return Catalogue.of(
        ActionType(
            connection=kind.usual_connection,
            capability=kind.capability,
            action=spec.name,
            effect=spec.effect,
            summary=spec.summary,
            input_schema=spec.input.model_json_schema(),
            result_schema=spec.result_schema(),
        )
        for kind in CAPABILITIES
        for spec in kind.actions
    )


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
