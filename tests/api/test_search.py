"""One request finds what names a value, in any spelling, and what was done about it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from orchestrator.domain.access import Permission, Role
from orchestrator.domain.observable import ObservableType
from orchestrator.runtime import Runtime
from orchestrator.store.search.index import index_approval
from orchestrator.store.search.names import parse_covering, parse_names
from tests.api.conftest import Narrow
from tests.api.test_api_contract import NOW
from tests.api.test_filters import FIRST, SECOND, furnish, planned
from tests.harness.api_calls import People, is_problem


@pytest.fixture
async def world(rt: Runtime, admin: httpx.AsyncClient) -> dict[str, Any]:
    return await furnish(rt, admin)


async def find(client: httpx.AsyncClient, value: str, **query: Any) -> dict[str, Any]:
    reply = await client.get("/v1/search", params={"value": value, **query})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


@pytest.mark.parametrize("value", [FIRST, f" ::FFFF:{FIRST} ", f"address:{FIRST}"])
async def test_value_is_found_in_every_spelling_with_all_that_was_done_about_it(
    admin: httpx.AsyncClient, world: dict[str, list[str]], value: str
) -> None:
    found = await find(admin, value)
    assert [each["id"] for each in found["alerts"]] == world["alerts"][:1]
    assert [(each["id"], each["state"]) for each in found["runs"]] == [("run_0", "waiting")]
    assert [(each["id"], each["title"]) for each in found["approvals"]] == [("apr_0", "Block?")]
    assert [each["id"] for each in found["containments"]] == ["key_0"]
    assert {"run:retried of run_0 by person:dora"} < {each["title"] for each in found["audit"]}
    assert not any("run_1" in each["title"] for each in found["audit"])
    assert all(each["created_at"].endswith("Z") for each in found["runs"] + found["audit"])


async def test_network_around_an_address_is_found_with_its_containment(
    admin: httpx.AsyncClient, world: object
) -> None:
    found = await find(admin, SECOND)
    assert [each["id"] for each in found["containments"]] == ["key_1"]
    assert [each["id"] for each in found["runs"]] == ["run_1"]


async def test_what_no_one_named_is_nowhere(admin: httpx.AsyncClient, world: object) -> None:
    found = await find(admin, "192.0.2.99")
    kinds = ("alerts", "runs", "approvals", "containments", "audit", "more")
    assert {kind: found[kind] for kind in kinds} == {kind: [] for kind in kinds}


async def test_only_the_newest_are_listed_and_the_rest_is_announced(
    admin: httpx.AsyncClient, world: object
) -> None:
    found = await find(admin, "10.1.2.3", limit=1)
    assert [each["id"] for each in found["runs"]] == ["run_1"]
    assert {"alerts", "runs", "audit"} <= set(found["more"])
    assert (await find(admin, "10.1.2.3", limit=20))["more"] == []


async def test_result_holds_only_what_the_key_may_read(
    people: People, narrowed: Narrow, world: object
) -> None:
    found = await find(people[Role.VIEWER], FIRST)
    assert found["audit"] is None
    assert [each["id"] for each in found["approvals"]] == ["apr_0"]
    found = await find(await narrowed((Permission.READ,)), FIRST)
    assert (found["approvals"], found["audit"]) == (None, None)
    assert not found["more"]


async def test_bad_values_are_named(admin: httpx.AsyncClient) -> None:
    assert (
        "not of the type address"
        in is_problem(await admin.get("/v1/search", params={"value": "address:nowhere"}), 422)[
            "detail"
        ]
    )
    is_problem(await admin.get("/v1/search", params={"value": " "}), 422)
    is_problem(await admin.get("/v1/search"), 422)


async def test_host_and_user_are_found_by_short_and_by_full_name(
    rt: Runtime, admin: httpx.AsyncClient, world: object
) -> None:
    targets = [
        ("host", "ws-042.corp.example"),
        ("host", "ws-043"),
        ("user", "corp\\j.doe"),
        ("host", "ws-042.other.example"),
    ]
    async with rt.store.write() as session:
        for number, target in enumerate(targets):
            row = {"id": f"apr_{number % 2}", "changes": [planned(*target)], "asked_at": NOW}
            await index_approval(session, row)

    async def approvals(value: str) -> set[str]:
        return {each["id"] for each in (await find(admin, value))["approvals"]}

    assert await approvals("WS-042") == {"apr_0", "apr_1"}
    assert await approvals("ws-042.corp.example") == {"apr_0"}
    assert await approvals("WS-043.corp.example.") == {"apr_1"}
    assert await approvals("j.doe") == {"apr_0"}
    assert await approvals("ws-04") == set()


def test_types_of_a_value() -> None:
    types = {name.type for name in parse_names("198.51.100.7")}
    assert {ObservableType.ADDRESS, ObservableType.NETWORK, ObservableType.HOST} <= types
    assert [name.value for name in parse_names("address:::ffff:198.51.100.7")] == ["198.51.100.7"]


def test_what_covers_a_target() -> None:
    around = {(name.type, name.value) for name in parse_covering("203.0.113.9")}
    assert {
        (ObservableType.ADDRESS, "203.0.113.9"),
        (ObservableType.NETWORK, "203.0.113.9/32"),
        (ObservableType.NETWORK, "203.0.113.0/24"),
        (ObservableType.NETWORK, "0.0.0.0/0"),
    } <= around
    assert (ObservableType.NETWORK, "203.0.114.0/24") not in around
    parents = {name.value for name in parse_covering("domain:a.b.evil.example")}
    assert parents == {"a.b.evil.example", "b.evil.example", "evil.example"}
