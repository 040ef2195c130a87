"""The OpenAPI document is complete, stored, and true."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api import openapi
from api.app import GUARDED, OPEN, PAGES, create_app, describe_app
from api.openapi import document_text
from orchestrator.domain.access import Role
from orchestrator.first_start import create_database
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings
from tests.harness.people import add_key

STORED = Path(__file__).parents[2] / "docs" / "openapi.json"
ROUTES = [
    route for router in (*OPEN, *GUARDED) for route in router.routes if isinstance(route, APIRoute)
]
OPERATIONS = [(method, route.path_format) for route in ROUTES for method in sorted(route.methods)]
SIGNED = {
    ("POST", "/v1/webhooks/{source}"),
    ("POST", "/v1/slack/interactions"),
    ("POST", "/v1/enrolments"),
}
"""Operations whose requests are signed instead of carrying an API key."""
EXAMPLES = 6
"""Generated requests per operation."""


def resolve(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference points to, or the node itself."""
    if "$ref" not in node:
        return node
    target: Any = document
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    found: dict[str, Any] = target
    return found


def has_example(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """Return whether a schema has an example, itself or in its parts."""
    schema = resolve(schema, document)
    parts = [
        *schema.get("anyOf", []),
        *([schema["items"]] if "items" in schema else []),
        *schema.get("properties", {}).values(),
    ]
    return bool(schema.get("examples") or schema.get("example")) or any(
        has_example(part, document) for part in parts
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return describe_app().openapi()


def test_stored_document_is_current() -> None:
    assert STORED.read_text() == document_text(describe_app()), (
        "docs/openapi.json is out of date; run: python -m orchestrator.cli.docs"
    )


def test_operation_ids_are_unique_names(document: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    ]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert [name for name in ids if not re.fullmatch(r"[a-z][a-z0-9_]+", name)] == []


def test_schemas_are_named_as_classes(document: dict[str, Any]) -> None:
    names = document["components"]["schemas"]
    assert [name for name in names if not re.fullmatch(r"([A-Z][a-z0-9]*)+", name)] == []
    assert {"RunPage", "AuditEventPage", "RunDetails"} <= names.keys()


def test_same_name_means_the_same_in_every_path() -> None:
    """A path parameter is the name of its collection in the singular, never `name` or `key`."""
    found = {name for _, path in OPERATIONS for name in re.findall(r"\{(\w+)\}", path)}
    assert found & {"id", "key"} == set()
    assert [path for _, path in OPERATIONS if "{name}" in path] == [
        "/v1/kill-switches/{scope}/{name}"
    ]


PERIOD = {"since", "until", "ended_since", "ended_until"}
"""The two ends of a period, which a report or a query is about."""


def times(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield schema, name and type of each property that is a time."""
    for schema, body in document["components"]["schemas"].items():
        for name, kind in body.get("properties", {}).items():
            if any(each.get("format") == "date-time" for each in (kind, *kind.get("anyOf", []))):
                yield schema, name, kind


def test_times_have_one_name_each(document: dict[str, Any]) -> None:
    """What began has `created_at`, what ends has `expires_at`; a period has two ends."""
    odd = {
        "asked_at", "opened_at", "published_at", "added_at", "engaged_at", "received_at",
        "saved_at", "until_at",
    }  # fmt: skip
    found = [(schema, name) for schema, name, _ in times(document)]
    assert len(found) > 40
    wrong = [
        (schema, name)
        for schema, name in found
        if name in odd or not (name.endswith("_at") or name in PERIOD)
    ]
    assert wrong == [("EvaluatePolicy", "at")]  # as the cases of policy tests call it
    periods = {schema for schema, name in found if name in PERIOD}
    assert periods <= {"Backtest", "ShadowReport", "RunSelection", "ContainmentSelection"}


def test_times_of_examples_are_in_utc(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d", text) == []


def test_operations_on_one_object_are_verbs(document: dict[str, Any]) -> None:
    verbs = {
        path.rpartition("/")[2] for method, path in OPERATIONS if "}/" in path and method == "POST"
    }
    assert verbs <= {
        "break-glass", "cancel", "check", "close", "commands", "confirm", "decide", "hand-over",
        "reinstate",
        "release", "replay", "resolve", "retire", "retry", "review", "roll-back", "rotate",
        "signatures", "test",
        "withdraw",
    }  # fmt: skip


def test_no_two_routes_match_the_same_request() -> None:
    routes = [
        route
        for router in (*OPEN, *PAGES, *GUARDED)
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    ambiguous = [
        f"{one.path} and {other.path}"
        for one, other in itertools.combinations(routes, 2)
        if one.methods & other.methods and _overlap(one.path, other.path)
    ]
    assert ambiguous == []


def _overlap(one: str, other: str) -> bool:
    """Return whether one path can match both patterns; a parameter matches any segment."""
    first, second = one.split("/"), other.split("/")
    return len(first) == len(second) and all(
        a == b or a.startswith("{") or b.startswith("{") for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_route_is_described_with_examples_and_its_errors(
    document: dict[str, Any], method: str, path: str
) -> None:
    operation = document["paths"][path][method.lower()]
    assert operation["summary"]
    assert operation["description"]
    contents = [
        (status, kind, body)
        for status, reply in operation["responses"].items()
        for kind, body in resolve(reply, document).get("content", {}).items()
    ]
    for status, kind, body in contents:
        assert "example" in body or has_example(body["schema"], document), f"{status}: no example"
        if int(status) >= 400 and path != "/readyz":
            assert kind == "application/problem+json"
    for parameter in operation.get("parameters", []):
        assert parameter["schema"].get("examples") or parameter["name"] == "limit", (
            f"{parameter['name']}: no example"
        )
    for body in operation.get("requestBody", {}).get("content", {}).values():
        assert "example" in body or has_example(body["schema"], document)
    assert ("401" in operation["responses"]) == (
        path.startswith("/v1/") and path != "/v1/enrolments"  # its code is no credential
    )
    assert bool(operation.get("security")) == (
        path.startswith("/v1/") and (method, path) not in SIGNED
    )


def test_error_bodies_of_fastapi_are_not_documented(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "Problem" in schemas
    assert "HTTPValidationError" not in schemas


@dataclass(frozen=True)
class ApiUnderTest:
    """The API that schemathesis calls, and a key with all permissions."""

    app: FastAPI
    schema: Any
    token: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiUnderTest]:
    """Return the API on a new database, parsed once; each event loop opens the database again."""
    runtime = open_runtime(
        Settings.load(data_dir=tmp_path_factory.mktemp("api") / "data", max_body_bytes=20_000)
    )

    async def prepare() -> str:
        await create_database(runtime)
        await policies.publish_policy(runtime, DEFAULT_POLICY, actor="system")
        _, token = await add_key(runtime, "tester", (Role.ADMIN,), actor="system")
        await runtime.store.close()
        return token.get_secret_value()

    token = asyncio.run(prepare())
    app = create_app(runtime, lambda: None)
    yield ApiUnderTest(app, schemathesis.openapi.from_asgi("/openapi.json", app), token)
    asyncio.run(runtime.close())


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_api_answers_as_documented_to_any_request(
    served: ApiUnderTest, method: str, path: str
) -> None:
    @given(case=served.schema[path][method].as_strategy())
    @CHECKED
    def check(case: schemathesis.Case) -> None:
        _check(case, served)

    check()


CHECKED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _check(case: schemathesis.Case, served: ApiUnderTest) -> None:
    if isinstance(case.body, dict) and "connector" in case.body:
        case.body["check"] = False  # no outside system is called
    is_webhook = case.operation.path == "/v1/webhooks/{source}"
    headers = {} if is_webhook else {"Authorization": f"Bearer {served.token}"}
    reply = case.call(headers=headers)
    checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
    # No worker answers here, as Temporal is down.
    if not (reply.status_code == 503 and "Temporal" in reply.json()["detail"]):
        checks.append(not_a_server_error)
    case.validate_response(reply, checks=checks)


async def test_document_is_built_once_and_away_from_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []

    def building(app: FastAPI) -> dict[str, Any]:
        threads.append(threading.get_ident())
        return {"openapi": "3.1.0"}

    monkeypatch.setattr(openapi, "openapi_document", building)
    app = FastAPI(openapi_url=None)
    openapi.install_document(app)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://t"
    ) as client:
        replies = await asyncio.gather(*(client.get("/openapi.json") for _ in range(3)))
    assert {reply.text for reply in replies} == {'{"openapi":"3.1.0"}'}
    assert len(threads) == 1 and threads[0] != threading.get_ident()
