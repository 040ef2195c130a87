"""Fixtures of the API tests: an app on a new database, and people with keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from api.app import create_app
from orchestrator.domain.access import Permission, Role
from orchestrator.installation.identity import establish_identity
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from tests.harness.api_calls import People
from tests.harness.databases import copy_installation, migrate_quickly
from tests.harness.people import add_key

_TOKENS: dict[Role, str] = {}
"""Of the people in each installation that `_with_people` made, or that is a copy of it."""


async def _without_people(settings: Settings) -> None:
    runtime = open_runtime(settings)
    await migrate_quickly(runtime)
    await establish_identity(runtime)
    await policies.publish_policy(runtime, DEFAULT_POLICY, actor="system")
    await runtime.close()


async def _with_people(settings: Settings) -> None:
    await _without_people(settings)
    runtime = open_runtime(settings)
    _TOKENS.update(await add_people(runtime))
    await runtime.close()


async def add_people(runtime: Runtime) -> dict[Role, str]:
    """Add a person with a key for each role, and return the keys."""
    tokens = {}
    for role in Role:
        _, token = await add_key(runtime, f"{role}-person", (role,), actor="system")
        tokens[role] = token.get_secret_value()
    return tokens


@asynccontextmanager
async def installed(folder: Path, *, people: bool) -> AsyncIterator[Runtime]:
    """Open a runtime on a migrated database, with a small limit for bodies."""
    settings = Settings.load(data_dir=folder / "data", max_body_bytes=20_000)
    if people:
        await copy_installation("api with people", settings, _with_people)
    else:
        await copy_installation("api", settings, _without_people)
    runtime = open_runtime(settings)
    yield runtime
    await runtime.close()


@asynccontextmanager
async def clients(app: FastAPI, tokens: dict[Role, str]) -> AsyncIterator[People]:
    """Return a client for each role."""
    found = People()
    for role in Role:
        headers = {"Authorization": f"Bearer {tokens[role]}"}
        found[role] = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://tocsin", headers=headers
        )
    yield found
    for client in found.values():
        await client.aclose()


@pytest.fixture
async def rt(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    """Return the runtime of an installation, whose people exist where the test wants them."""
    async with installed(tmp_path, people="people" in request.fixturenames) as runtime:
        yield runtime


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
async def people(app: FastAPI) -> AsyncIterator[People]:
    """Return a client for each role."""
    async with clients(app, _TOKENS) as found:
        yield found


@pytest.fixture
def admin(people: People) -> httpx.AsyncClient:
    """Return the client with all permissions."""
    return people[Role.ADMIN]


SHARED = pytest.mark.asyncio(loop_scope="module")
"""For tests that use `shared_rt` and what is built on it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_rt(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """Return the runtime of one installation for all tests of a module, which only read."""
    async with installed(tmp_path_factory.mktemp("shared"), people=True) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def shared_app(shared_rt: Runtime) -> FastAPI:
    """Return one app for all tests of a module, with Temporal down."""
    return create_app(shared_rt, lambda: None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_people(shared_app: FastAPI) -> AsyncIterator[People]:
    """Return a client for each role, of the same app."""
    async with clients(shared_app, _TOKENS) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stranger(shared_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key, of the same app."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(shared_app), base_url="http://tocsin"
    ) as client:
        yield client


@pytest.fixture(scope="module")
def shared_admin(shared_people: People) -> httpx.AsyncClient:
    """Return the client with all permissions."""
    return shared_people[Role.ADMIN]


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
