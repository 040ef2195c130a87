"""A broken audit trail shows in every answer, in readiness, in metrics and in the doctor."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from orchestrator.cli.diagnosis.trail import examine_trail
from orchestrator.incidents.tasks import close_task, list_tasks
from orchestrator.incidents.trail_alarm import TrailAlarm
from orchestrator.policy.stops import kill_switches
from orchestrator.runtime import Runtime
from tests.audit.test_anchor import sealed, tamper, write
from tests.audit.test_event_mac import INSERT


async def _metric(client: httpx.AsyncClient, name: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[1])


@pytest.fixture
async def client(rt: Runtime, app: FastAPI, stranger: httpx.AsyncClient) -> httpx.AsyncClient:
    """Return a client of an API whose trail has three batches and is intact."""
    await sealed(rt, 3)
    reply = await stranger.get("/readyz")
    assert reply.json()["audit"] == "intact"
    assert "Tocsin-Audit" not in reply.headers
    assert await _metric(stranger, "tocsin_audit_intact") == 1
    assert [each.level for each in await examine_trail(rt)] == ["good"]
    app.state.container.state.trail.refresh()
    return stranger


async def test_broken_trail_shows_in_every_answer(
    rt: Runtime, app: FastAPI, client: httpx.AsyncClient
) -> None:
    await tamper(rt, "DELETE FROM audit_batches WHERE number >= 3")
    for path in ("/livez", "/v1/runs", "/nowhere", "/metrics"):
        assert (await client.get(path)).headers["Tocsin-Audit"] == "broken"
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["audit"] == "broken"
    assert await _metric(client, "tocsin_audit_intact") == 0
    [found] = await examine_trail(rt)
    assert (found.level, found.check) == ("wrong", "audit")
    assert "remembers batch" in found.text


async def test_what_a_worker_with_another_anchor_found_shows_too(
    rt: Runtime, app: FastAPI, client: httpx.AsyncClient
) -> None:
    await tamper(rt, "DELETE FROM audit_batches WHERE number >= 3")
    await TrailAlarm(rt).seal()
    rt.settings.audit_anchor_path.unlink()
    assert (await client.get("/livez")).headers["Tocsin-Audit"] == "broken"


async def test_quarantined_event_shows_until_its_task_is_closed(
    rt: Runtime, app: FastAPI, client: httpx.AsyncClient
) -> None:
    await tamper(rt, INSERT)
    await TrailAlarm(rt).seal()
    assert (await client.get("/livez")).headers["Tocsin-Audit"] == "broken"
    assert await _metric(client, "tocsin_audit_quarantined") == 1
    [task] = (await list_tasks(rt)).items
    await close_task(rt, task.id, comment="found who", actor="person:ana")
    app.state.container.state.trail.refresh()
    assert "Tocsin-Audit" not in (await client.get("/livez")).headers
    await write(rt, "next")
    await TrailAlarm(rt).seal()  # another process knows what is closed
    assert (await list_tasks(rt)).items == []


@pytest.mark.attack(
    "alter or delete a kill switch, so that answers fail",
    before="two answers a second are 500, webhooks too",
)
@pytest.mark.parametrize(
    "attack", ["DELETE FROM kill_switches", "UPDATE kill_switches SET reason = 'no'"]
)
async def test_answers_say_that_kill_switches_were_altered(
    rt: Runtime, app: FastAPI, stranger: httpx.AsyncClient, attack: str
) -> None:
    await kill_switches.engage(rt, "global", "*", "drill", actor="person:ann")
    await tamper(rt, attack)
    for path in ("/livez", "/v1/runs", "/nowhere", "/metrics"):
        app.state.container.state.kill_switches.refresh()
        reply = await stranger.get(path)
        assert reply.status_code < 500
        assert reply.headers["Tocsin-Kill-Switch"] == "global;releases;altered"
