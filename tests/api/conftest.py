"""Fixtures of the API tests: an app on a new database, and people with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from orchestrator.domain.access import Permission, Role
from orchestrator.installation.identity import establish_identity
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from tests.harness.api_calls import People
from tests.harness.databases import migrate_quickly
from tests.harness.people import add_key


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    """Open a runtime on a migrated database, with a small limit for bodies."""
    runtime = open_runtime(Settings.load(data_dir=tmp_path / "data", max_body_bytes=20_000))
    await migrate_quickly(runtime)
    await establish_identity(runtime)
    await policies.publish_policy(runtime, DEFAULT_POLICY, actor="system")
    yield runtime
    await runtime.close()


@pytest.fixture
def app(rt: Runtime) -> FastAPI:
    """Return the app, with Temporal down."""
    return create_app(rt, lambda: None)


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://tocsin"
    ) as client:
        yield client


@pytest.fixture
async def people(app: FastAPI, rt: Runtime) -> AsyncIterator[People]:
    """Return a client for each role."""
    found = People()
    for role in Role:
        _, token = await add_key(rt, f"{role}-person", (role,), actor="system")
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
        found[role] = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://tocsin", headers=headers
        )
    yield found
    for client in found.values():
        await client.aclose()


@pytest.fixture
def admin(people: People) -> httpx.AsyncClient:
    """Return the client with all permissions."""
    return people[Role.ADMIN]


Narrow = Callable[[tuple[Permission, ...]], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def narrowed(app: FastAPI, rt: Runtime) -> AsyncIterator[Narrow]:
    """Return a factory of admin clients whose keys have given scopes only."""
    made: list[httpx.AsyncClient] = []

    async def make(scopes: tuple[Permission, ...]) -> httpx.AsyncClient:
        _, token = await add_key(rt, "narrow", (Role.ADMIN,), scopes=scopes, actor="system")
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
        made.append(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://tocsin", headers=headers
            )
        )
        return made[-1]

    yield make
    for client in made:
        await client.aclose()
