"""What holds for every route: query parameters, methods, content types and compression."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Query
from fastapi.routing import APIRoute
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.app import GUARDED, OPEN, create_app
from api.protocol.location import LOCATIONS
from api.protocol.query import declared_parameters
from api.protocol.route import StrictRoute
from orchestrator.domain.access import Role
from orchestrator.runtime import Runtime
from tests.harness.api_calls import EDGE, People, add_edge, alert, is_problem

ROUTES = [route for router in GUARDED for route in router.routes if isinstance(route, APIRoute)]
EACH = [(method, route) for route in ROUTES for method in sorted(route.methods)]
FOREIGN = {"/v1/webhooks/{source}", "/v1/slack/interactions"}
"""Paths whose address other products write; they may add parameters."""
VALUES = {"version": "1", "scope": "global"}


def at(path: str) -> str:
    """Return the path with a value for each parameter."""
    return re.sub(r"\{(\w+)\}", lambda match: VALUES.get(match[1], "a"), path)


async def test_unknown_query_parameter_is_refused_with_what_is_accepted(
    admin: httpx.AsyncClient,
) -> None:
    for method, route in EACH:
        sent = {"params": {"sicne": "7d"}, "content": b"{not"}
        problem = is_problem(await admin.request(method, at(route.path), **sent), 422)
        assert problem["detail"].startswith("unknown query parameter 'sicne'"), route.path
        assert [each["place"] for each in problem["errors"]] == ["query.sicne"]
        for name in declared_parameters(route.dependant):
            assert name in problem["detail"], route.path


async def test_single_valued_query_parameter_is_refused_when_repeated(
    admin: httpx.AsyncClient,
) -> None:
    for method, route in EACH:
        for name, is_list in declared_parameters(route.dependant).items():
            reply = await admin.request(method, at(route.path), params=[(name, "a"), (name, "b")])
            said = f"'{name}' is given 2 times" in reply.text
            assert said is not is_list, (route.path, name, reply.text)


def test_every_route_is_strict_unless_other_products_write_its_address() -> None:
    lax = {
        route.path
        for router in (*OPEN, *GUARDED)
        for route in router.routes
        if not isinstance(route, StrictRoute)
    }
    assert lax == FOREIGN


def test_signature_says_which_parameters_take_several_values() -> None:
    def listed(
        one: str = "",
        several: Annotated[list[str] | None, Query()] = None,
        kind: Annotated[str | None, Query(alias="type")] = None,
        more: Annotated[tuple[int, ...], Query()] = (),
    ) -> None: ...

    route = StrictRoute("/", listed)
    assert declared_parameters(route.dependant) == {
        "one": False,
        "several": True,
        "type": False,
        "more": True,
    }


async def test_misspelt_parameter_is_answered_with_the_right_one(admin: httpx.AsyncClient) -> None:
    problem = is_problem(await admin.get("/v1/runs", params={"playbok": "c2"}), 422)
    assert problem["errors"][0]["fix"] == "did you mean 'playbook'?"
    assert "did you mean 'playbook'? This path accepts: " in problem["detail"]


async def test_long_and_many_parameters_are_shortened(admin: httpx.AsyncClient) -> None:
    given = {"x" * 5000: "1"} | {f"p{number}": "1" for number in range(200)}
    reply = await admin.get("/v1/runs", params=given)
    assert len(is_problem(reply, 422)["errors"]) == 50
    assert len(reply.content) < 20_000


async def test_webhook_ignores_parameters_that_a_product_adds(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    reply = await stranger.post("/v1/webhooks/edge?utm_source=x", content=alert(), headers=EDGE)
    assert reply.status_code == 202


async def test_head_answers_like_get_without_a_body(admin: httpx.AsyncClient) -> None:
    paths = {route.path for method, route in EACH if method == "GET"}
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", *sorted(paths)]:
        asked, head = await admin.get(at(path)), await admin.head(at(path))
        assert (head.status_code, head.content) == (asked.status_code, b""), path
        assert head.headers["content-type"] == asked.headers["content-type"]


async def test_head_of_what_has_no_get_is_refused(admin: httpx.AsyncClient) -> None:
    reply = await admin.head("/v1/promotions")
    assert (reply.status_code, reply.headers["allow"], reply.content) == (
        405,
        "OPTIONS, POST",
        b"",
    )


async def test_allow_names_every_method_of_a_path(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    for path in {route.path for route in ROUTES}:
        methods = {method for method, route in EACH if route.path == path} | {"OPTIONS"}
        methods |= {"HEAD"} if "GET" in methods else set()
        refused = await admin.request("TRACE", at(path))
        assert methods <= set(refused.headers["allow"].split(", ")), path
        is_problem(refused, 405)
        asked = await stranger.options(at(path))
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["allow"] == refused.headers["allow"]


async def test_allow_is_complete_where_two_routes_share_a_path(admin: httpx.AsyncClient) -> None:
    reply = await admin.request("PATCH", "/v1/runs")
    assert is_problem(reply, 405)["detail"] == (
        "PATCH is not allowed here; use one of: GET, HEAD, OPTIONS, POST"
    )


async def test_options_of_an_unknown_path_is_404(stranger: httpx.AsyncClient) -> None:
    is_problem(await stranger.options("/v1/nothing"), 404)


WITH_JSON = [(method, route) for method, route in EACH if route.body_field is not None]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_body_of_another_type_is_415_with_the_right_one(
    admin: httpx.AsyncClient, kind: str | None
) -> None:
    headers = {"content-type": kind} if kind else {}
    for method, route in WITH_JSON:
        reply = await admin.request(method, at(route.path), content=b"{}", headers=headers)
        said = is_problem(reply, 415)["detail"]
        assert said.endswith("send Content-Type: application/json"), route.path
        assert reply.headers["accept"] == "application/json"


async def test_compressed_body_is_415(admin: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    reply = await admin.post("/v1/runs", content=b"\x1f\x8b", headers=headers)
    assert "send it without Content-Encoding" in is_problem(reply, 415)["detail"]
    assert reply.headers["accept-encoding"] == "identity"


@pytest.mark.attack("send a request of 300,000 values", before="the intake stands still for 5.5 s")
async def test_values_of_a_body_are_bounded_before_they_are_parsed(
    rt: Runtime, people: People
) -> None:
    settings = rt.settings.model_copy(update={"max_body_bytes": 1024 * 1024})
    viewer = dict(people[Role.VIEWER].headers)
    transport = httpx.ASGITransport(create_app(replace(rt, settings=settings), lambda: None))
    change = {"action": "firewall.block_address", "target": {"type": "address", "value": "::7"}}
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
        client.headers = httpx.Headers(viewer)
        many: list[Any] = [[1] * 30_000, [[]] * 30_000, {f"{each}": 1 for each in range(30_000)}]
        for values in many:
            for path in ("policy/evaluate", "policy/diff", "authoring/check"):
                body = {**change, "effect": "contain", "input": {"a": values}}
                problem = is_problem(await client.post(f"/v1/{path}", json=body), 413)
                assert problem["detail"] == "the body has more than 20000 values; send fewer"
        # However long a text is, and whatever is in it, it is one value.
        reply = await client.post("/v1/authoring/check", json={"text": '[,{"' * 25_000})
        assert is_problem(reply, 422)["detail"].startswith("playbook.yaml")


async def test_json_with_a_charset_is_accepted(admin: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    body = json.dumps({"playbook": "nothing"}).encode()
    is_problem(await admin.post("/v1/runs", content=body, headers=headers), 404)


async def test_long_answers_are_compressed(admin: httpx.AsyncClient, app: FastAPI) -> None:
    reply = await admin.get("/openapi.json")
    assert reply.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in reply.headers["vary"].lower()
    assert int(reply.headers["content-length"]) < len(reply.content) / 3
    assert reply.json() == app.openapi()
    plain = await admin.get("/openapi.json", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_answer_that_shows_a_secret_is_not_compressed(admin: httpx.AsyncClient) -> None:
    await admin.post("/v1/people", json={"id": "ann"})
    networks = [f"2001:db8:1111:2222:3333:4444:5555:{number:x}" for number in range(50)]
    made = await admin.post(
        "/v1/keys", json={"person": "ann", "roles": ["viewer"], "networks": networks}
    )
    assert made.status_code == 201, made.text
    assert len(made.content) > 1024
    assert "content-encoding" not in made.headers


async def test_page_of_a_one_time_link_is_not_compressed(stranger: httpx.AsyncClient) -> None:
    reply = await stranger.get("/a/" + "x" * 43)
    assert len(reply.content) > 1024 or reply.status_code >= 400
    assert "content-encoding" not in reply.headers


def test_every_route_that_creates_says_where() -> None:
    created = {route.path for _, route in EACH if route.status_code == 201}
    assert created == LOCATIONS.keys()


async def test_location_leads_to_what_was_created(admin: httpx.AsyncClient) -> None:
    text = "playbook: pause\nversion: 1\ntitle: P\nowner: soc\nsteps:\n  - {id: p, wait: 1m}\n"
    made = await admin.post("/v1/playbooks", json={"text": text})
    assert made.headers["location"] == "playbooks/pause?version=1"
    found = await admin.get(str(made.request.url.join(made.headers["location"])))
    assert found.json()["version"] == 1
    run = await admin.post("/v1/runs", json={"playbook": "pause", "mode": "dry_run"})
    found = await admin.get(str(run.request.url.join(run.headers["location"])))
    assert found.json()["id"] == run.json()["id"]
    body = {"scope": "global", "reason": "drill"}
    switch = await admin.post("/v1/kill-switches", json=body)
    lifted = await admin.delete(str(switch.request.url.join(switch.headers["location"])))
    assert lifted.status_code == 204


async def test_access_log_has_the_request_id_of_the_answer_and_no_path_or_query(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    with capture_logs(processors=[merge_contextvars]) as logged:
        refused = await admin.get("/v1/runs/secret-in-a-path", params={"secret": "in-a-query"})
        anonymous = await stranger.get("/v1/runs")
        await stranger.get("/livez")
    first, second, probe = [each for each in logged if each["event"] == "request answered"]
    assert first["request_id"] == refused.headers["x-request-id"] == refused.json()["request_id"]
    assert (first["method"], first["route"], first["status"], first["person"]) == (
        "GET",
        "/v1/runs/{run_id}",
        422,
        "admin-person",
    )
    assert second["request_id"] == anonymous.headers["x-request-id"]
    assert (second["status"], second["person"]) == (401, None)
    assert (probe["route"], probe["log_level"]) == ("/livez", "debug")
    assert "secret" not in str(logged)
