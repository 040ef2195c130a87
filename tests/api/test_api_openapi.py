"""Is OpenAPI complete, and does the API behave as it says there?"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import GUARDED, OPEN, create_app
from orchestrator.access import keys
from orchestrator.domain.access import Role
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate

OPERATIONS = [
    (method, route.path)
    for router in (*OPEN, *GUARDED)
    for route in router.routes
    for method in route.methods
]  # type: ignore[attr-defined]
SIGNED = {
    ("POST", "/v1/alerts/{source}"),
    ("POST", "/v1/slack/interactions"),
}  # who sends these proves it over the body
EXAMPLES = 12


def example_in(schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether a schema shows an example, itself or in what it is made of."""
    if "$ref" in schema:
        return example_in(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]], whole)
    parts = [
        *schema.get("anyOf", []),
        *([schema["items"]] if "items" in schema else []),
        *schema.get("properties", {}).values(),
    ]
    return bool(schema.get("examples") or schema.get("example")) or any(
        example_in(part, whole) for part in parts
    )


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_route_is_described_with_examples_and_its_errors(
    app: FastAPI, method: str, path: str
) -> None:
    whole = app.openapi()
    operation = whole["paths"][path][method.lower()]
    assert operation["summary"]
    assert operation["description"]
    contents = [
        (status, kind, body)
        for status, reply in operation["responses"].items()
        for kind, body in reply.get("content", {}).items()
    ]
    for status, kind, body in contents:
        assert "example" in body or example_in(body["schema"], whole), f"{status}: no example"
        if int(status) >= 400 and path != "/readyz":
            assert kind == "application/problem+json"
    for parameter in operation.get("parameters", []):
        assert parameter["schema"].get("examples") or parameter["name"] == "limit", (
            f"{parameter['name']}: no example"
        )
    for body in operation.get("requestBody", {}).get("content", {}).values():
        assert "example" in body or example_in(body["schema"], whole)
    assert ("401" in operation["responses"]) == path.startswith("/v1/")
    assert bool(operation.get("security")) == (
        path.startswith("/v1/") and (method, path) not in SIGNED
    )


def test_the_frameworks_own_error_bodies_are_not_announced(app: FastAPI) -> None:
    shown = app.openapi()["components"]["schemas"]
    assert "Problem" in shown
    assert "HTTPValidationError" not in shown


class Behind:
    """The API that schemathesis tries; made on its loop."""

    def __init__(self, app: FastAPI, token: str, rt: Runtime) -> None:
        self.app, self.token, self.rt = app, token, rt


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An app with a key that may everything; its database is opened anew by each loop."""
    import asyncio

    runtime = open_runtime(
        Settings.load(data_dir=tmp_path_factory.mktemp("api") / "data", max_body_bytes=20_000)
    )

    async def prepare() -> str:
        await migrate(runtime.store)
        await policies.publish_policy(runtime, DEFAULT_POLICY, actor="system")
        _, token = await keys.create_key(runtime, "tester", (Role.ADMIN,), actor="system")
        await runtime.store.close()
        return token.get_secret_value()

    token = asyncio.run(prepare())
    yield Behind(create_app(runtime, lambda: None), token, runtime)
    asyncio.run(runtime.close())


def tried(behind: Behind, method: str, path: str) -> Any:
    """The operation as schemathesis reads it."""
    return schemathesis.openapi.from_asgi("/openapi.json", behind.app)[path][method]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_api_answers_as_it_says_whatever_is_sent(
    behind: Behind, method: str, path: str
) -> None:
    @given(case=tried(behind, method, path).as_strategy())
    @CHECKED
    def answers(case: schemathesis.Case) -> None:
        _check(case, behind)

    answers()


CHECKED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _check(case: schemathesis.Case, behind: Behind) -> None:
    if isinstance(case.body, dict) and "connector" in case.body:
        case.body["check"] = False  # nothing outside of this machine is asked
    key = (
        {}
        if case.operation.path == "/v1/alerts/{source}" and case.method == "POST"
        else {"Authorization": f"Bearer {behind.token}"}
    )
    reply = case.call(headers=key)
    checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
    case.validate_response(reply, checks=[not_a_server_error, *checks])
