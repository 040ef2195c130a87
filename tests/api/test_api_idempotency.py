"""Idempotency keys: a repeated POST is answered as the first time, and done once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from orchestrator.access import idempotency
from orchestrator.domain.access import Role
from orchestrator.runtime import Runtime
from orchestrator.store.tables import IdempotencyRow
from tests.harness.api_calls import People, is_problem

PLAYBOOK = "playbook: pause\nversion: 1\ntitle: P\nowner: soc\nsteps:\n  - {id: p, wait: 1m}\n"
START = {"playbook": "pause", "mode": "dry_run"}


def named(key: str = "8f14e45f-ceea-467f") -> dict[str, str]:
    return {"idempotency-key": key}


async def published(admin: httpx.AsyncClient) -> None:
    assert (await admin.post("/v1/playbooks", json={"text": PLAYBOOK})).status_code == 201


async def runs(client: httpx.AsyncClient) -> list[str]:
    return [run["id"] for run in (await client.get("/v1/runs")).json()["items"]]


async def test_repeated_request_is_answered_as_the_first_and_done_once(
    admin: httpx.AsyncClient,
) -> None:
    await published(admin)
    first = await admin.post("/v1/runs", json=START, headers=named())
    again = await admin.post("/v1/runs", json=START, headers=named())
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await runs(admin) == [first.json()["id"]]
    other = await admin.post("/v1/runs", json=START, headers=named("another"))
    assert len(await runs(admin)) == 2
    assert other.json()["id"] != first.json()["id"]


async def test_requests_without_a_key_are_each_done(admin: httpx.AsyncClient) -> None:
    await published(admin)
    for _ in range(2):
        assert (await admin.post("/v1/runs", json=START)).status_code == 201
    assert len(await runs(admin)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"json": {**START, "mode": "live"}},
        {"url": "/v1/playbooks/pause/1/retire"},
        {"url": "/v1/keys", "json": {"person": "ann", "roles": ["viewer"]}},
    ],
)
async def test_key_of_another_request_is_refused(
    admin: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    await published(admin)
    sent = {"url": "/v1/runs", "json": START, "headers": named()}
    assert (await admin.post(**sent)).status_code == 201
    problem = is_problem(await admin.post(**(sent | change)), 422)
    assert "another request used this key" in problem["detail"]


async def test_two_requests_at_the_same_time_start_one_run(admin: httpx.AsyncClient) -> None:
    await published(admin)
    replies = await asyncio.gather(
        *(admin.post("/v1/runs", json=START, headers=named()) for _ in range(8))
    )
    assert {reply.status_code for reply in replies} <= {201, 409}
    assert len(await runs(admin)) == 1


async def test_request_that_has_not_ended_is_409_and_is_never_done_twice(
    admin: httpx.AsyncClient, rt: Runtime
) -> None:
    await published(admin)
    first = await admin.post("/v1/runs", json=START, headers=named())
    async with rt.store.write() as session:
        row = (await session.scalars(select(IdempotencyRow))).one()
        row.answer = None  # as after a process that was killed before it answered
    problem = is_problem(await admin.post("/v1/runs", json=START, headers=named()), 409)
    assert "look whether it took effect" in problem["detail"]
    assert await runs(admin) == [first.json()["id"]]


async def test_keys_of_two_people_are_apart(people: People) -> None:
    await published(people[Role.AUTHOR])
    ids = {
        (await people[role].post("/v1/runs", json=START, headers=named())).json()["id"]
        for role in (Role.ANALYST, Role.ADMIN)
    }
    assert len(ids) == 2


async def test_refused_request_frees_its_key(admin: httpx.AsyncClient) -> None:
    is_problem(await admin.post("/v1/runs", json=START, headers=named()), 404)
    is_problem(await admin.post("/v1/runs", json={}, headers=named()), 422)
    await published(admin)
    assert (await admin.post("/v1/runs", json=START, headers=named())).status_code == 201


async def test_replay_needs_the_permission_too(people: People) -> None:
    await published(people[Role.ADMIN])
    is_problem(await people[Role.VIEWER].post("/v1/runs", json=START, headers=named()), 403)
    assert (
        await people[Role.ANALYST].post("/v1/runs", json=START, headers=named())
    ).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ä"])
async def test_malformed_key_is_refused(admin: httpx.AsyncClient, key: str) -> None:
    headers = [("idempotency-key", key.encode("latin-1"))]
    reply = await admin.post("/v1/runs", json=START, headers=headers)
    assert "1 to 255 visible ASCII" in is_problem(reply, 422)["detail"]


async def test_new_secret_in_a_kept_answer_is_sealed(admin: httpx.AsyncClient, rt: Runtime) -> None:
    await admin.post("/v1/people", json={"id": "ann"})
    body = {"person": "ann", "roles": ["viewer"]}
    first = await admin.post("/v1/keys", json=body, headers=named())
    again = await admin.post("/v1/keys", json=body, headers=named())
    assert again.json()["enrolment_code"] == first.json()["enrolment_code"]
    async with rt.store.read() as session:
        row = (await session.scalars(select(IdempotencyRow))).one()
    secret = first.json()["enrolment_code"]
    assert row.answer is not None
    assert secret.encode() not in row.answer
    assert "8f14e45f" not in row.id + row.request_digest


async def test_answer_is_kept_for_24_hours(admin: httpx.AsyncClient, rt: Runtime) -> None:
    await published(admin)
    first = await admin.post("/v1/runs", json=START, headers=named())
    for hours, count in ((23, 1), (25, 2)):
        async with rt.store.write() as session:
            row = (await session.scalars(select(IdempotencyRow))).one()
            row.created_at = rt.clock() - timedelta(hours=hours)
        again = await admin.post("/v1/runs", json=START, headers=named())
        assert (again.json()["id"] == first.json()["id"]) is (count == 1)
        assert len(await runs(admin)) == count
    assert timedelta(hours=24) == idempotency.KEPT
