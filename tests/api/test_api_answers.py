"""Every response has the common headers, and errors are problems."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.app import create_app
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from tests.harness.api_calls import is_problem


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/metrics", "/openapi.json", "/v1/runs", "/nowhere"]
)
async def test_every_response_has_a_request_id_and_security_headers(
    stranger: httpx.AsyncClient, path: str
) -> None:
    reply = await stranger.get(path)
    assert len(reply.headers["x-request-id"]) >= 8
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "access-control-allow-origin" not in reply.headers


async def test_only_a_harmless_request_id_is_kept(
    stranger: httpx.AsyncClient,
) -> None:
    assert (await stranger.get("/livez", headers={"X-Request-Id": "trace-0123456789"})).headers[
        "x-request-id"
    ] == "trace-0123456789"
    assert (await stranger.get("/livez", headers={"X-Request-Id": "a b;c"})).headers[
        "x-request-id"
    ] != "a b;c"


async def test_no_page_loads_foreign_scripts(
    stranger: httpx.AsyncClient,
) -> None:
    for path in ("/docs", "/redoc"):
        is_problem(await stranger.get(path), 404)


async def test_wrong_method_names_the_allowed_ones(admin: httpx.AsyncClient) -> None:
    reply = await admin.patch("/v1/policy")
    is_problem(reply, 405)
    assert reply.headers["allow"]


async def test_invalid_body_is_described_by_place_without_its_values(
    admin: httpx.AsyncClient,
) -> None:
    body = {"decision": "maybe", "digest": 7, "hunter2": "hunter2"}
    problem = is_problem(await admin.post("/v1/approvals/a/decide", json=body), 422)
    assert {each["place"] for each in problem["errors"]} == {
        "body.decision",
        "body.digest",
        "body.hunter2",
    }
    assert "maybe" not in str(problem)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 9000, 400),
        (b'{"a": 1, "a": 2}', 422),
        (b"\xff", 400),
        (b'{"scope": "global"', 400),
        (b"x" * 30_000, 413),
    ],
)
async def test_request_json_is_parsed_as_strictly_as_alerts(
    admin: httpx.AsyncClient, body: bytes, status: int
) -> None:
    is_problem(
        await admin.post(
            "/v1/kill-switches", content=body, headers={"content-type": "application/json"}
        ),
        status,
    )


@pytest.mark.parametrize("path", ["/v1/runs/%00", "/v1/runs?playbook=%00", "/v1/alerts/a%00b"])
async def test_nul_in_a_url_is_refused(admin: httpx.AsyncClient, path: str) -> None:
    is_problem(await admin.get(path), 400)


@pytest.mark.parametrize("cursor", ["x", "%F0%9F%92%A3", "AAAA", "MjAyNi0wMS0wMQ", "////"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/runs",
        "/v1/audit",
        "/v1/keys",
        "/v1/alerts",
        "/v1/incidents",
        "/v1/approvals",
        "/v1/containments",
    ],
)
async def test_foreign_cursor_is_refused_or_harmless(
    admin: httpx.AsyncClient, path: str, cursor: str
) -> None:
    reply = await admin.get(f"{path}?cursor={cursor}")
    assert reply.status_code in {200, 422}
    if reply.status_code == 422:
        is_problem(reply, 422)


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e3"])
async def test_page_has_1_to_200_items(admin: httpx.AsyncClient, limit: str) -> None:
    is_problem(await admin.get(f"/v1/runs?limit={limit}"), 422)


async def test_internal_error_reveals_nothing_and_logs_no_secret(
    app: FastAPI, admin: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("the password is hunter2")

    app.add_api_route("/fail", fail)
    assert "hunter2" not in str(is_problem(await admin.get("/fail"), 500))
    logged = capsys.readouterr()
    assert "ValueError" in logged.out + logged.err
    for secret in ("hunter2", admin.headers["authorization"].rpartition("_")[2][:16]):
        assert secret not in logged.out + logged.err


async def test_kill_switch_is_in_every_response_until_it_is_lifted(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    assert "tocsin-kill-switch" not in (await stranger.get("/livez")).headers
    for body in (
        {"scope": "global", "reason": "drill"},
        {"scope": "connection", "name": "fire wall", "reason": "drill"},
    ):
        assert (await admin.post("/v1/kill-switches", json=body)).status_code == 201
    for path in ("/livez", "/nowhere", "/v1/runs"):
        assert (await stranger.get(path)).headers[
            "tocsin-kill-switch"
        ] == "connection=fire%20wall, global"
    assert (await admin.delete("/v1/kill-switches/global/*")).status_code == 204
    assert (await admin.delete("/v1/kill-switches/connection/fire%20wall")).status_code == 204
    assert "tocsin-kill-switch" not in (await stranger.get("/livez")).headers
    is_problem(await admin.delete("/v1/kill-switches/global/*"), 404)


async def test_readiness_requires_migration_but_not_temporal(
    rt: Runtime, stranger: httpx.AsyncClient
) -> None:
    reply = await stranger.get("/readyz")
    assert (reply.status_code, reply.json()) == (
        200,
        {
            "status": "degraded",
            "database": "ok",
            "keys": "ok",
            "temporal": "away",
            "worker": "none",
            "audit": "intact",
        },
    )
    empty = open_runtime(Settings.load(data_dir=rt.settings.data_dir.parent / "empty"))
    assert await _unready(empty) == {"database": "not migrated", "keys": "unknown"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(empty, lambda: None)), base_url="http://tocsin"
    ) as client:
        is_problem(
            await client.get(
                "/v1/runs", headers={"Authorization": "Bearer tocsin_0123456789abcdef_" + "0" * 64}
            ),
            503,
        )
    await empty.close()


async def test_keys_of_another_installation_are_not_ready(rt: Runtime) -> None:
    other = open_runtime(Settings.load(data_dir=rt.settings.data_dir.parent / "other"))
    for foreign in (
        replace(rt, secrets=other.secrets),
        replace(rt, audit_keys=other.audit_keys),
    ):
        assert await _unready(foreign) == {"database": "ok", "keys": "foreign"}
    await other.close()


async def test_a_database_of_a_newer_version_or_a_damaged_one_is_not_ready(rt: Runtime) -> None:
    async with rt.store.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert await _unready(rt) == {"database": "newer", "keys": "unknown"}
    damaged = open_runtime(Settings.load(data_dir=rt.settings.data_dir.parent / "damaged"))
    (damaged.settings.data_dir / "tocsin.db").write_bytes(b"not a database" * 100)
    assert await _unready(damaged) == {"database": "damaged", "keys": "unknown"}
    await damaged.close()


async def _unready(rt: Runtime) -> dict[str, str]:
    """What a refused check of readiness says of the database and the keys."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(rt, lambda: None)), base_url="http://tocsin"
    ) as client:
        reply = await client.get("/readyz")
    assert (reply.status_code, reply.json()["status"]) == (503, "unavailable")
    return {name: reply.json()[name] for name in ("database", "keys")}
