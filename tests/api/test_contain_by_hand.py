"""A person contains a target by hand: a run of a built-in plan, so that all else is the same."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from orchestrator.connections import manage
from orchestrator.domain.access import Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.domain.run import BUILT_IN
from orchestrator.registry.trust import start_objection
from orchestrator.registry.versions import reinstate
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow
from tests.harness.api_calls import People, events, is_problem

BLOCK: dict[str, Any] = {
    "target": {"type": "address", "value": "::ffff:203.0.113.5"},
    "for": "4h",
    "reason": "scans our mail server",
}


@pytest.fixture
async def connected(rt: Runtime) -> Runtime:
    """Return a runtime with a firewall and an EDR."""
    firewall = {"base_url": "https://firewall.example", "api_key": "k"}
    edr = {"base_url": "https://edr.example", "client_id": "c", "client_secret": "s"}
    await manage.save_connection(
        rt, "firewall", "palo_alto", firewall, actor="system", client=None, check=False
    )
    await manage.save_connection(
        rt, "edr", "crowdstrike", edr, actor="system", client=None, check=False
    )
    return rt


async def test_analyst_starts_a_run_with_target_lease_and_reason(
    people: People, connected: Runtime
) -> None:
    done = await people[Role.ANALYST].post("/v1/containments", json=BLOCK)
    assert done.status_code == 201, done.text
    run = done.json()
    assert (run["playbook"], run["started_by"]) == ("contain-by-hand", "person:analyst-person")
    assert run["inputs"] == {
        "target": "203.0.113.5",
        "length": "4h",
        "reason": "scans our mail server",
    }
    (created,) = await events(connected, EventKind.RUN_CREATED)
    assert created.data["inputs"]["reason"] == "scans our mail server"
    async with connected.store.read() as session:
        row = await records.get(session, PlaybookRow, ("contain-by-hand", run["version"]))
    assert row is not None
    (step,) = row.plan["steps"]
    assert (step["connection"], step["action"], step["effect"]) == (
        "firewall",
        "block_address",
        "contain",
    )


async def test_viewer_and_approver_contain_nothing(people: People, connected: Runtime) -> None:
    for role in (Role.VIEWER, Role.APPROVER, Role.AUTHOR):
        is_problem(await people[role].post("/v1/containments", json=BLOCK), 403)


async def test_each_action_has_one_version_however_often_it_is_used(
    people: People, connected: Runtime
) -> None:
    analyst = people[Role.ANALYST]
    host = {"target": {"type": "host", "value": "WS-042"}, "reason": "ransom note"}
    bodies = [BLOCK, {**BLOCK, "for": "7d"}, host, {**host, "for": "1h"}, host, BLOCK]
    runs = [(await analyst.post("/v1/containments", json=body)).json() for body in bodies]
    assert [run["version"] for run in runs] == [1, 1, 2, 3, 2, 1]
    assert runs[2]["inputs"]["target"] == "ws-042"
    published = await events(connected, EventKind.PLAYBOOK_PUBLISHED)
    assert [event.data["stage"] for event in published] == [BUILT_IN] * 3


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"target": {"type": "address", "value": "nowhere"}}, 422, "target"),
        ({"target": {"type": "user", "value": "j.doe"}}, 404, "no action contains"),
        ({"for": "soon"}, 422, "for"),
        ({"reason": " "}, 422, "reason"),
        ({"connection": "edr"}, 404, "these do: firewall.block_address"),
        ({"action": "unblock_address"}, 404, "these do: firewall.block_address"),
    ],
)
async def test_refused_with_the_fix(
    people: People, connected: Runtime, change: dict[str, Any], status: int, text: str
) -> None:
    reply = await people[Role.ANALYST].post("/v1/containments", json={**BLOCK, **change})
    assert text in is_problem(reply, status)["detail"]
    assert await events(connected, EventKind.RUN_CREATED) == []


async def test_one_of_several_connections_has_to_be_chosen(
    people: People, connected: Runtime
) -> None:
    settings = {"base_url": "https://edge.example", "api_key": "k"}
    await manage.save_connection(
        connected, "edge", "palo_alto", settings, actor="system", client=None, check=False
    )
    analyst = people[Role.ANALYST]
    problem = is_problem(await analyst.post("/v1/containments", json=BLOCK), 409)
    assert "edge.block_address, firewall.block_address; choose one" in problem["detail"]
    done = await analyst.post("/v1/containments", json={**BLOCK, "connection": "edge"})
    assert done.status_code == 201


async def test_built_in_plan_needs_no_signature_and_an_altered_one_does(
    people: People, connected: Runtime, admin: httpx.AsyncClient
) -> None:
    run = (await people[Role.ANALYST].post("/v1/containments", json=BLOCK)).json()
    signed = connected.settings.model_copy(update={"require_signed": True})
    async with connected.store.read() as session:
        row = await records.get(session, PlaybookRow, ("contain-by-hand", run["version"]))
        assert row is not None
        assert await start_objection(session, signed, row, row.digest) is None
        like_it = row.model_copy(update={"stage": "live"})
        assert "not signed" in str(await start_objection(session, signed, like_it, row.digest))
    with pytest.raises(Conflict, match="built in"):
        await reinstate(connected, "contain-by-hand", run["version"], actor="person:ann")
    is_problem(await admin.post("/v1/runs", json={"playbook": "contain-by-hand"}), 404)
