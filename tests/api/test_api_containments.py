"""Containments and tasks over the API: permissions, and that they work while Temporal is down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.domain.access import Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.tasks import open_task
from orchestrator.runtime import Runtime
from orchestrator.store.tables import ConnectionRow, ContainmentRow, IncidentRow, LeaseRow, RunRow
from tests.harness.api_calls import People, events, is_problem

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(days=2)
KEY = "/v1/containments/k1"
BLOCK: dict[str, Any] = {
    "connection": "fw",
    "action": "block_address",
    "target_type": "address",
    "target_value": "198.51.100.7",
}


@pytest.fixture
async def contained(rt: Runtime) -> Runtime:
    """Two runs of one incident hold an address; the URL of the connection contains a secret."""
    run: dict[str, Any] = {
        "playbook": "c2",
        "version": 3,
        "plan_digest": "p",
        "status": "completed",
        "started_by": "source:edge",
    }
    url = {"base_url": "https://user:hunter2@fw.example:8443/secret"}
    async with rt.store.write() as session:
        session.add(
            IncidentRow(
                id="inc_1",
                correlation_key="k",
                title="t",
                severity=4,
                opened_at=NOW,
                last_alert_at=NOW,
            )
        )
        session.add(
            ConnectionRow(
                name="fw",
                connector="palo_alto",
                capability="firewall",
                settings=url,
                secrets=b"",
                saved_at=NOW,
            )
        )
        session.add(
            ContainmentRow(key="k1", state=ContainmentState.HELD, ours=True, since=NOW, **BLOCK)
        )
        for name in ("run_1", "run_2"):
            session.add(RunRow(id=name, incident_id="inc_1", created_at=NOW, **run))
            session.add(
                LeaseRow(
                    id=f"{name}/b",
                    containment_key="k1",
                    run_id=name,
                    path="b",
                    until=LATER,
                    created_at=NOW,
                )
            )
    return rt


async def test_containment_shows_its_device_but_nothing_else_of_the_url(
    people: People, contained: Runtime
) -> None:
    body = (await people[Role.VIEWER].get(KEY)).json()
    assert (body["device"], body["connector"]) == ("fw.example:8443", "palo_alto")
    assert "hunter2" not in str(body)
    assert body["leases"][0]["playbook"] == "c2"
    found = (await people[Role.VIEWER].get("/v1/containments", params={"lease": "run_2/b"})).json()
    assert [item["id"] for item in found["items"]] == ["k1"]
    is_problem(await people[Role.VIEWER].get("/v1/containments/none"), 404)


async def test_lease_end_is_changed_with_permission(people: People, contained: Runtime) -> None:
    is_problem(await people[Role.VIEWER].patch(KEY, json={"for": "4h"}), 403)
    reply = await people[Role.ANALYST].patch(
        KEY, json={"for": "4d", "lease": "run_1/b", "reason": "under investigation"}
    )
    assert reply.status_code == 200, reply.text
    until = {lease["id"]: lease["expires_at"] for lease in reply.json()["leases"]}
    assert until["run_1/b"] > until["run_2/b"]
    (changed,) = await events(contained, EventKind.LEASE_CHANGED)
    assert (changed.actor, changed.data["reason"]) == (
        "person:analyst-person",
        "under investigation",
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422),
        ({"expires_at": "2126-01-01T00:00:00"}, 422),
        ({"expires_at": "2126-01-01T00:00:00Z"}, 422),
        ({"for": "4000d"}, 422),
        ({"for": "soon"}, 422),
        ({}, 422),
        ({"for": "1h", "expires_at": "2126-01-01T00:00:00Z"}, 422),
        ({"for": "1h", "lease": "run_9/b"}, 404),
        ({"for": "1h", "way": "extend"}, 409),
        ({"length": "1h"}, 422),
    ],
)
async def test_invalid_lease_end_is_refused(
    people: People, contained: Runtime, body: dict[str, Any], status: int
) -> None:
    is_problem(await people[Role.ANALYST].patch(KEY, json=body), status)
    assert await events(contained, EventKind.LEASE_CHANGED) == []


async def test_incident_is_released_as_a_whole(people: People, contained: Runtime) -> None:
    is_problem(await people[Role.VIEWER].post("/v1/incidents/inc_1/release"), 403)
    reply = await people[Role.ANALYST].post(
        "/v1/incidents/inc_1/release", json={"reason": "false positive"}
    )
    assert reply.status_code == 202
    (item,) = reply.json()["items"]
    assert {lease["ended_by"] for lease in item["leases"]} == {"person:analyst-person"}
    assert {lease["end_reason"] for lease in item["leases"]} == {"released"}
    assert {event.data["reason"] for event in await events(contained, EventKind.LEASE_CHANGED)} == {
        "false positive"
    }
    is_problem(await people[Role.ANALYST].post("/v1/incidents/none/release"), 404)


async def test_resolving_a_held_containment_is_refused(people: People, contained: Runtime) -> None:
    is_problem(await people[Role.VIEWER].post(f"{KEY}/resolve", json={"comment": "off"}), 403)
    is_problem(
        await people[Role.ANALYST].post(f"{KEY}/resolve", json={"comment": "off", "force": True}),
        409,
    )


async def test_task_is_opened_once_and_closed_once(people: People, rt: Runtime) -> None:
    for _ in range(2):
        async with rt.store.write() as session:
            found = await open_task(
                session, kind=TaskKind.DRIFT, subject="k1", summary="gone", now=NOW
            )
    (item,) = (await people[Role.VIEWER].get("/v1/tasks")).json()["items"]
    assert (item["id"], item["state"]) == (found, "open")
    is_problem(
        await people[Role.VIEWER].post(f"/v1/tasks/{found}/close", json={"comment": "ok"}), 403
    )
    is_problem(
        await people[Role.ANALYST].post(f"/v1/tasks/{found}/close", json={"comment": " "}), 422
    )
    assert (
        await people[Role.ANALYST].post(f"/v1/tasks/{found}/close", json={"comment": "ok"})
    ).json()["closed_by"] == "person:analyst-person"
    is_problem(
        await people[Role.ANALYST].post(f"/v1/tasks/{found}/close", json={"comment": "ok"}), 409
    )
    assert (await people[Role.VIEWER].get("/v1/tasks")).json()["items"] == []
    assert (
        len((await people[Role.VIEWER].get("/v1/tasks", params={"state": "all"})).json()["items"])
        == 1
    )
    assert len(await events(rt, EventKind.TASK_OPENED)) == 1
