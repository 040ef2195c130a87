"""Every route requires its permission before it reads the body."""

from __future__ import annotations

import itertools
import re
import time

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from api.app import GUARDED, OPEN, PAGES
from api.dependencies import GuardedRoute, requirement_of
from orchestrator.domain.access import PERMISSIONS, Permission, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.runtime import Runtime
from tests.api.conftest import SHARED
from tests.harness.api_calls import People, events, is_problem
from tests.harness.people import new_key

ROUTES = [route for router in GUARDED for route in router.routes if isinstance(route, APIRoute)]
EACH = [(method, route) for route in ROUTES for method in sorted(route.methods)]
OPEN_PATHS = {
    ("POST", "/v1/webhooks/{source}"),
    ("GET", "/"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("POST", "/v1/slack/interactions"),
    ("POST", "/v1/enrolments"),
}
VALUES = {"version": "1", "scope": "global"}
PAGE_PATHS = {
    ("GET", "/a/{token}"),
    ("POST", "/a/{token}"),
    ("GET", "/e/{code}"),
    ("POST", "/e/{code}"),
}


def at(path: str) -> str:
    """Return the path with a value for each parameter."""
    return re.sub(r"\{(\w+)\}", lambda match: VALUES.get(match[1], "a"), path)


def required(route: APIRoute) -> Permission:
    requirement = requirement_of(route)
    assert requirement is not None
    return requirement.permission


@pytest.mark.parametrize(
    "route", ROUTES, ids=lambda route: f"{route.path}-{'-'.join(route.methods)}"
)
def test_route_declares_one_permission(route: APIRoute) -> None:
    assert isinstance(route, GuardedRoute)
    assert isinstance(required(route), Permission)


def test_only_webhooks_clicks_links_and_health_are_open(app: FastAPI) -> None:
    assert {
        (method, route.path)
        for router in OPEN
        for route in router.routes
        for method in route.methods
    } == OPEN_PATHS  # type: ignore[attr-defined]
    assert {
        (method, route.path)
        for router in PAGES
        for route in router.routes
        for method in route.methods
    } == PAGE_PATHS  # type: ignore[attr-defined]
    documented = {
        (method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item
    }
    declared = {(method, route.path.replace(":path}", "}")) for method, route in EACH}
    assert documented == OPEN_PATHS | declared


def test_route_without_a_permission_cannot_be_declared() -> None:
    router = APIRouter(route_class=GuardedRoute)
    with pytest.raises(TypeError, match="declare one permission"):
        router.add_api_route("/v1/open", lambda: None)


@SHARED
@pytest.mark.parametrize(("method", "route"), EACH, ids=lambda value: getattr(value, "path", value))
async def test_request_without_a_key_is_401_before_the_body_is_read(
    shared_stranger: httpx.AsyncClient, method: str, route: APIRoute
) -> None:
    reply = await shared_stranger.request(method, at(route.path), content=b"{not json")
    assert "Authorization: Bearer" in is_problem(reply, 401)["detail"]
    assert reply.headers["www-authenticate"] == "Bearer"


@SHARED
@pytest.mark.parametrize(("method", "route"), EACH, ids=lambda value: getattr(value, "path", value))
async def test_each_role_is_admitted_exactly_where_it_has_the_permission(
    shared_people: People, method: str, route: APIRoute
) -> None:
    for role, client in shared_people.items():
        reply = await client.request(method, at(route.path), content=b"{not json")
        if required(route) in PERMISSIONS[role]:
            assert reply.status_code not in {401, 403, 500}, (role, reply.text)
        else:
            assert str(required(route)) in is_problem(reply, 403)["detail"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer x",
        "bearer tocsin_0123456789abcdef_" + "0" * 64,
        "Bearer " + "x" * 5000,
        "Bearer a\tb",
    ],
)
async def test_invalid_key_is_refused(stranger: httpx.AsyncClient, header: str) -> None:
    is_problem(await stranger.get("/v1/runs", headers={"Authorization": header}), 401)


async def test_two_authorization_headers_are_refused_even_with_one_valid(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    good = admin.headers["authorization"]
    for pair in itertools.permutations([good, "Bearer x"]):
        is_problem(
            await stranger.get("/v1/runs", headers=[("Authorization", each) for each in pair]), 401
        )


async def test_revoked_key_is_refused(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    made = await new_key(admin, "ann", "viewer")
    key = {"Authorization": f"Bearer {made['token']}"}
    assert (await stranger.get("/v1/runs", headers=key)).status_code == 200
    assert (await admin.delete(f"/v1/keys/{made['id']}")).status_code == 204
    is_problem(await stranger.get("/v1/runs", headers=key), 401)


async def test_refusals_are_audited_without_the_token(
    people: People, stranger: httpx.AsyncClient, rt: Runtime
) -> None:
    token = "tocsin_0123456789abcdef_" + "ab" * 32
    await stranger.get("/v1/runs/secret-in-a-path", headers={"Authorization": f"Bearer {token}"})
    await people[Role.VIEWER].get("/v1/audit")
    lacks, unknown = await events(rt, EventKind.ACCESS_REFUSED)
    assert (lacks.actor, lacks.subject, lacks.data["reason"]) == (
        "person:viewer-person",
        "GET /v1/audit",
        "lacks audit:read",
    )
    assert (unknown.actor, unknown.subject) == ("anonymous", "GET /v1/runs/{run_id}")
    assert unknown.data["key"] == "0123456789abcdef"
    assert "abab" not in str(unknown) and "secret-in-a-path" not in str(unknown)


async def test_flood_of_requests_without_a_key_is_bounded_in_the_trail_and_counted(
    stranger: httpx.AsyncClient, rt: Runtime, app: FastAPI
) -> None:
    for _ in range(70):
        await stranger.get("/v1/runs")
    assert len(await events(rt, EventKind.ACCESS_REFUSED)) <= 62  # the minute may have turned once
    app.state.container.access_audit._budget._clock = lambda: time.monotonic() + 60
    await stranger.get("/v1/runs")
    newest = (await events(rt, EventKind.ACCESS_REFUSED))[0]
    assert newest.data["left_out_before"] > 0
