"""The API of recordings and debug sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from orchestrator.domain.access import Permission, Role
from orchestrator.runtime import Runtime
from tests.api.conftest import add_people, clients
from tests.harness.api_calls import People, is_problem
from tests.harness.debug_rig import DebugBench, debug_bench

TEXT = """\
playbook: by-hand
version: 1
title: Block
owner: soc
inputs: {address: {type: address}}
steps:
  - id: choice
    choose:
      - when: inputs.address == '198.51.100.7'
        steps:
          - id: block
            use: firewall.block_address
            with: {address: "${{ inputs.address }}"}
            for: 1h
"""
BODY: dict[str, Any] = {"text": TEXT, "inputs": {"address": "198.51.100.7"}}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[DebugBench]:
    """A staging installation with Temporal and a worker."""
    async with debug_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def rt(bench: DebugBench) -> Runtime:
    """Its runtime."""
    return bench.rig.rt


@pytest.fixture
def app(bench: DebugBench) -> FastAPI:
    """Its app."""
    return create_app(bench.rig.rt, lambda: bench.client)


@pytest.fixture
async def people(rt: Runtime, app: FastAPI) -> AsyncIterator[People]:
    """A client for each role."""
    async with clients(app, await add_people(rt)) as found:
        yield found


async def test_session_pauses_at_steps_and_ends(people: People, bench: DebugBench) -> None:
    author = people[Role.AUTHOR]
    begun = await author.post("/v1/debug-sessions", json=BODY)
    assert begun.status_code == 201, begun.text
    state = begun.json()
    assert (state["phase"], state["at"]["path"]) == ("paused", "choice")
    path = f"/v1/debug-sessions/{state['id']}"
    at = (await author.post(f"{path}/commands", json={"command": "next"})).json()["at"]
    assert (at["path"], at["inputs"]) == ("choice/block", {"address": "198.51.100.7"})
    show = {"command": "show", "expression": "inputs.address"}
    shown = (await author.post(f"{path}/commands", json=show)).json()
    assert shown["message"] == '"198.51.100.7"'
    over = (await author.post(f"{path}/commands", json={"command": "skip"})).json()
    assert (over["phase"], over["result"]) == ("over", "completed")
    assert (await author.get(path)).json() == over
    is_problem(await author.post(f"{path}/commands", json={"command": "next"}), 409)
    assert (await author.delete(path)).json() == over


async def test_session_is_reached_through_any_api_process(
    people: People, bench: DebugBench
) -> None:
    author = people[Role.AUTHOR]
    state = (await author.post("/v1/debug-sessions", json=BODY)).json()
    other = create_app(bench.rig.rt, lambda: bench.client)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(other), base_url="http://tocsin", headers=author.headers
    ) as client:
        path = f"/v1/debug-sessions/{state['id']}"
        assert (await client.get(path)).json() == state
        ended = (await client.delete(path)).json()
    assert (await author.get(path)).json() == ended


async def test_apply_requires_the_permission_to_start_runs(people: People) -> None:
    author = people[Role.AUTHOR]
    state = (await author.post("/v1/debug-sessions", json=BODY)).json()
    refused = await author.post(
        f"/v1/debug-sessions/{state['id']}/commands",
        json={"command": "apply", "target": "198.51.100.7"},
    )
    assert Permission.RUN_START in is_problem(refused, 403)["detail"]


async def test_session_of_another_person_is_not_found(
    people: People, admin: httpx.AsyncClient
) -> None:
    state = (await people[Role.AUTHOR].post("/v1/debug-sessions", json=BODY)).json()
    path = f"/v1/debug-sessions/{state['id']}"
    is_problem(await admin.get(path), 404)
    is_problem(await admin.post(f"{path}/commands", json={"command": "next"}), 404)
    is_problem(await admin.delete(path), 404)
    is_problem(await admin.get("/v1/debug-sessions/dbg_0"), 404)
    is_problem(await admin.get("/v1/debug-sessions/run_0"), 404)


async def test_invalid_session_is_refused(people: People) -> None:
    for body in (
        {},
        {"text": TEXT, "name": "by-hand"},
        {"text": TEXT},
        {"text": TEXT, "inputs": {"address": "nowhere"}},
        {"text": "playbook: [", "inputs": {}},
        {"text": TEXT, "alert": {"severity": 3}, "alert_id": "alert_1"},
        {**BODY, "alert": {"no_such_field": 1}},
        {**BODY, "alert": {"severity": "high"}},
        {**BODY, "alert": {"severity": [1]}},
        {**BODY, "alert": {}, "product": "suricata"},
        {**BODY, "alert": {"event_type": "dns"}, "product": "suricata"},
        {**BODY, "alert": {}, "product": "unknown"},
    ):
        reply = await people[Role.AUTHOR].post("/v1/debug-sessions", json=body)
        assert reply.status_code in {409, 422}, (body, reply.text)


async def test_incomplete_command_is_refused(people: People) -> None:
    author = people[Role.AUTHOR]
    state = (await author.post("/v1/debug-sessions", json=BODY)).json()
    path = f"/v1/debug-sessions/{state['id']}/commands"
    for command in (
        {"command": "break"},
        {"command": "apply"},
        {"command": "run"},
        {"command": "override", "result": 1},
    ):
        is_problem(await author.post(path, json=command), 422)


async def test_without_temporal_no_session_begins(people: People, rt: Runtime) -> None:
    app = create_app(rt, lambda: None)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://tocsin",
        headers=people[Role.AUTHOR].headers,
    ) as author:
        is_problem(await author.post("/v1/debug-sessions", json=BODY), 503)
        is_problem(await author.get("/v1/debug-sessions/dbg_0"), 503)


async def test_missing_run_has_no_case(people: People) -> None:
    is_problem(await people[Role.AUTHOR].get("/v1/runs/run_0/case"), 404)
