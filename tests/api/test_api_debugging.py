"""Do recordings and debug sessions answer over the API as they should, and to whom?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from orchestrator.domain.access import Permission, Role
from orchestrator.runtime import Runtime
from tests.harness.api_calls import People, is_problem

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
async def app(rt: Runtime) -> AsyncIterator[FastAPI]:
    """The app of a staging stack, with Temporal down."""
    made = create_app(
        replace(rt, settings=rt.settings.model_copy(update={"environment": "staging"})),
        lambda: None,
    )
    yield made
    await made.state.container.debug_sessions.close()


async def test_a_session_goes_step_by_step_and_ends(people: People) -> None:
    author = people[Role.AUTHOR]
    begun = await author.post("/v1/debug-sessions", json=BODY)
    assert begun.status_code == 201, begun.text
    state = begun.json()
    assert (state["standing"], state["at"]["path"]) == ("paused", "choice")
    path = f"/v1/debug-sessions/{state['id']}"
    at = (await author.post(f"{path}/commands", json={"command": "next"})).json()["at"]
    assert (at["path"], at["inputs"]) == ("choice/block", {"address": "198.51.100.7"})
    assert "there is no connection" in at["problem"]
    shown = (
        await author.post(
            f"{path}/commands", json={"command": "show", "expression": "inputs.address"}
        )
    ).json()
    assert shown["said"] == '"198.51.100.7"'
    over = (await author.post(f"{path}/commands", json={"command": "skip"})).json()
    assert (over["standing"], over["result"]) == ("over", "completed")
    assert (await author.get(path)).json() == over
    assert (await author.delete(path)).status_code == 200
    is_problem(await author.get(path), 404)


async def test_to_apply_a_step_takes_the_permission_to_start_runs(people: People) -> None:
    author = people[Role.AUTHOR]
    state = (await author.post("/v1/debug-sessions", json=BODY)).json()
    refused = await author.post(
        f"/v1/debug-sessions/{state['id']}/commands",
        json={"command": "apply", "target": "198.51.100.7"},
    )
    assert Permission.RUN_START in is_problem(refused, 403)["detail"]


async def test_somebody_else_s_session_is_not_there(
    people: People, admin: httpx.AsyncClient
) -> None:
    state = (await people[Role.AUTHOR].post("/v1/debug-sessions", json=BODY)).json()
    is_problem(await admin.get(f"/v1/debug-sessions/{state['id']}"), 404)
    is_problem(
        await admin.post(f"/v1/debug-sessions/{state['id']}/commands", json={"command": "next"}),
        404,
    )
    is_problem(await admin.delete(f"/v1/debug-sessions/{state['id']}"), 404)


@pytest.mark.parametrize(
    "body",
    [
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
        {**BODY, "alert": {}, "product": "nobody"},
    ],
)
async def test_what_makes_no_sense_is_refused(people: People, body: dict[str, Any]) -> None:
    reply = await people[Role.AUTHOR].post("/v1/debug-sessions", json=body)
    assert reply.status_code in {409, 422}, reply.text


async def test_a_command_without_what_it_needs_is_refused(people: People) -> None:
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


async def test_in_production_nothing_is_debugged(rt: Runtime, people: People) -> None:
    made = create_app(rt, lambda: None)
    headers = people[Role.AUTHOR].headers
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(made), base_url="http://tocsin", headers=headers
    ) as author:
        assert (
            "in staging only"
            in is_problem(await author.post("/v1/debug-sessions", json=BODY), 403)["detail"]
        )


async def test_of_a_run_that_is_not_there_no_case_is_made(people: People) -> None:
    is_problem(await people[Role.AUTHOR].get("/v1/runs/run_0/case"), 404)
