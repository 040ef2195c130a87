"""The API of backtests."""

from __future__ import annotations

from datetime import timedelta

import httpx
from fastapi import FastAPI

from orchestrator.domain.access import Permission, Role
from orchestrator.runtime import Runtime
from orchestrator.store.queries.history import alerts_between
from tests.harness.api_calls import EDGE, People, add_edge, alert, is_problem
from tests.harness.people import add_key

DRAFT = """\
playbook: block-beacons
version: 1
title: Block where a beacon calls
owner: soc
trigger:
  when: alert.remote is not none and alert.remote.address is not none
  once_per: ${{ alert.id }}
  within: 1h
steps:
  - id: block
    use: firewall.block_address
    with: {address: "${{ alert.remote.address }}"}
    for: 24h
"""


async def test_draft_is_compared_with_what_was_done(
    people: People, rt: Runtime, stranger: httpx.AsyncClient
) -> None:
    await add_edge(people[Role.ADMIN])
    assert (await stranger.post("/v1/webhooks/edge", content=alert(), headers=EDGE)).is_success
    reply = await people[Role.AUTHOR].post(
        "/v1/backtests", json={"playbook": {"text": DRAFT}, "since": "1d"}
    )
    assert reply.status_code == 200, reply.text
    found = reply.json()
    assert found["alerts"] == found["started_now"] == 1
    assert {group["difference"] for group in found["groups"]} >= {"starts only now"}
    async with rt.store.read() as session:
        now = rt.clock()
        kept, _ = await alerts_between(
            session, now - timedelta(days=1), now + timedelta(seconds=1), None, 10
        )
    assert found["groups"][0]["examples"][0]["about"]["alert_id"] == kept[0].id


async def test_bounds_and_unknown_playbooks_are_refused(people: People) -> None:
    author = people[Role.AUTHOR]
    is_problem(await author.post("/v1/backtests", json={"playbook": {"name": "nothing"}}), 404)
    is_problem(
        await author.post("/v1/backtests", json={"playbook": {"text": DRAFT}, "limit": 5001}), 422
    )
    is_problem(
        await author.post("/v1/backtests", json={"playbook": {"text": DRAFT}, "since": "soon"}), 422
    )
    is_problem(
        await author.post("/v1/backtests", json={"playbook": {"text": DRAFT}, "reads": "stub"}), 422
    )


async def test_backtest_requires_the_permission_to_read(app: FastAPI, rt: Runtime) -> None:
    _, token = await add_key(
        rt, "narrow", (Role.AUTHOR,), scopes=(Permission.PLAYBOOK_PUBLISH,), actor="system"
    )
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://tocsin", headers=headers
    ) as client:
        is_problem(await client.post("/v1/backtests", json={"playbook": {"text": DRAFT}}), 403)


async def test_live_reads_are_left_to_a_worker(people: People) -> None:
    body = {"playbook": {"text": DRAFT}, "reads": "live"}
    lost = is_problem(await people[Role.AUTHOR].post("/v1/backtests", json=body), 503)
    assert "no worker can be asked" in lost["detail"]
