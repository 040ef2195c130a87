"""Lists are filtered by one vocabulary, in any spelling of a value, and page to their end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from orchestrator.audit import trail
from orchestrator.domain.access import Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.run import RunStatus, StepState
from orchestrator.incidents.tasks import open_task
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, steps
from orchestrator.store.tables import ContainmentRow, DecisionRow, LeaseRow, RunRow
from tests.api.conftest import SHARED
from tests.api.test_api_contract import CHANGE, LATER, NOW, every
from tests.harness.api_calls import EDGE, People, add_edge, alert, is_problem

HOUR = timedelta(hours=1)
FIRST, SECOND = "198.51.100.7", "203.0.113.9"


def planned(kind: str, value: str) -> dict[str, Any]:
    target = {"type": kind, "value": value}
    return {**CHANGE, "planned_change": {"target": target, "changed": True, "summary": "Block it"}}


async def furnish(rt: Runtime, admin: httpx.AsyncClient) -> dict[str, Any]:
    """Two alerts, each with a run, an approval and a containment, an hour apart."""
    await add_edge(admin)
    made: dict[str, Any] = {"alerts": [], "incidents": []}
    for address in (FIRST, SECOND):
        flow = b"%d" % (1_000_000_000 + len(made["alerts"]))
        body = alert(address).replace(b"1234567890", flow)
        done = await admin.post("/v1/webhooks/edge", content=body, headers=EDGE)
        made["alerts"].append(done.json()["alert_id"])
        made["incidents"].append(done.json()["incident_id"])
    targets = [("address", FIRST), ("network", "203.0.113.0/24")]
    async with rt.store.write() as session:
        for number, target in enumerate(targets):
            at, person = NOW + number * HOUR, ("ann", "bob")[number]
            run = RunRow(
                id=f"run_{number}",
                playbook=("c2", "scan")[number],
                version=1,
                plan_digest="p",
                incident_id=made["incidents"][number],
                alert_id=made["alerts"][number],
                source=("edge", "siem")[number],
                severity=(3, 5)[number],
                status=(RunStatus.WAITING, RunStatus.FAILED)[number],
                error=(None, "stopped by the kill switch: global")[number],
                started_by=f"person:{person}",
                created_at=at,
                ended_at=(None, at + HOUR)[number],
                dispatched=True,
            )
            change = planned(*target)
            step = {
                "run_id": run.id,
                "path": "block",
                "kind": "use",
                "state": StepState.PLANNED,
                "seq": 1,
                "planned_change": change["planned_change"],
                "started_at": at,
            }
            asked = {
                "id": f"apr_{number}",
                "run_id": run.id,
                "workflow_id": "w",
                "path": "block",
                "kind": "change",
                "question": "Block?",
                "changes": [change],
                "digest": "d",
                "state": ("pending", "declined")[number],
                "reasons": [],
                "delivered": False,
                "quorum": 1,
                "escalated": False,
                "level": 0,
                "reminders": 0,
                "review_comment": "",
                "asked_at": at,
                "expires_at": LATER,
            }
            session.add(run)
            await session.flush()
            await steps.save(session, [step])
            await approvals.add(session, asked)
            containment = ContainmentRow(
                key=f"key_{number}",
                connection=("firewall", "edge-firewall")[number],
                action="block_address",
                target_type=target[0],
                target_value=target[1],
                state=(ContainmentState.HELD, ContainmentState.STUCK)[number],
                ours=True,
                since=at,
            )
            lease = LeaseRow(
                id=f"{run.id}/block",
                containment_key=containment.key,
                run_id=run.id,
                path="block",
                until=LATER,
                created_at=at,
            )
            session.add_all([containment, lease])
        session.add(
            DecisionRow(approval_id="apr_1", person="cleo", key_id="k", decision="decline", at=NOW)
        )
        for number in range(2):
            await open_task(
                session,
                kind=(TaskKind.DRIFT, TaskKind.STUCK_RELEASE)[number],
                subject=f"key_{number}",
                summary="look at it",
                now=NOW + number * HOUR,
            )
            await trail.record(
                session,
                EventKind.RUN_RETRIED,
                actor=f"person:{('dora', 'eve')[number]}",
                subject=f"run_{number}",
                data={},
                now=NOW + number * HOUR,
            )
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared_rt: Runtime, shared_admin: httpx.AsyncClient) -> dict[str, Any]:
    return await furnish(shared_rt, shared_admin)


BETWEEN = (NOW + HOUR / 2).isoformat()
RUNS: list[tuple[dict[str, Any], set[int]]] = [
    ({}, {0, 1}),
    ({"status": "failed"}, {1}),
    ({"status": ["failed", "waiting"]}, {0, 1}),
    ({"since": BETWEEN}, {1}),
    ({"until": BETWEEN}, {0}),
    ({"since": NOW.isoformat(), "until": NOW.isoformat()}, set()),
    ({"ended_since": BETWEEN, "ended_until": LATER.isoformat()}, {1}),
    ({"playbook": "c2"}, {0}),
    ({"source": "siem"}, {1}),
    ({"severity": 4}, {1}),
    ({"severity": 3}, {0, 1}),
    ({"class": "c2_beacon"}, {0, 1}),
    ({"class": "phishing"}, set()),
    ({"person": "ann"}, {0}),
    ({"person": "eve"}, {1}),
    ({"error": "kill switch"}, {1}),
    ({"error": "%"}, set()),
    ({"target": f"::ffff:{FIRST}"}, {0}),
    ({"target": f"address:{FIRST}"}, {0}),
    ({"target": f"host:{FIRST}"}, set()),
    ({"target": "203.0.113.7/24"}, {1}),
    ({"observable": SECOND}, {1}),
    ({"observable": "10.1.2.3"}, {0, 1}),
    ({"mode": "dry_run"}, set()),
]
APPROVALS: list[tuple[dict[str, Any], set[int]]] = [
    ({}, {0, 1}),
    ({"state": "pending"}, {0}),
    ({"state": ["pending", "declined"]}, {0, 1}),
    ({"since": BETWEEN}, {1}),
    ({"run_id": "run_1"}, {1}),
    ({"playbook": "scan"}, {1}),
    ({"source": "edge"}, {0}),
    ({"severity": 5}, {1}),
    ({"person": "cleo"}, {1}),
    ({"person": "ann"}, set()),
    ({"target": FIRST}, {0}),
    ({"observable": SECOND}, {1}),
    ({"class": "c2_beacon", "severity": 4}, {1}),
]
CONTAINMENTS: list[tuple[dict[str, Any], set[int]]] = [
    ({}, {0, 1}),
    ({"state": "held"}, {0}),
    ({"state": ["held", "stuck"]}, {0, 1}),
    ({"state": "lifted"}, set()),
    ({"state": "all"}, {0, 1}),
    ({"target": f"::FFFF:{FIRST}"}, {0}),
    ({"target": SECOND}, set()),
    ({"covering": SECOND}, {1}),
    ({"covering": "203.0.113.128/25"}, {1}),
    ({"covering": "203.0.112.0/23"}, set()),
    ({"covering": FIRST}, {0}),
    ({"connection": "edge-firewall"}, {1}),
    ({"playbook": "c2"}, {0}),
    ({"source": "siem"}, {1}),
    ({"run_id": "run_0"}, {0}),
    ({"person": "bob"}, {1}),
    ({"since": BETWEEN}, {1}),
    ({"lease": "run_1/block", "playbook": "c2"}, set()),
    ({"severity": 4}, {1}),
    ({"severity": 3}, {0, 1}),
    ({"class": "c2_beacon"}, {0, 1}),
    ({"class": "phishing"}, set()),
    ({"observable": SECOND}, {1}),
    ({"observable": "192.0.2.200"}, set()),
]


def ids(found: list[dict[str, Any]]) -> set[int]:
    return {int(each["id"].rpartition("_")[2]) for each in found}


@SHARED
@pytest.mark.parametrize(("query", "expected"), RUNS, ids=str)
async def test_runs_are_filtered(
    shared_admin: httpx.AsyncClient, world: object, query: dict[str, Any], expected: set[int]
) -> None:
    for sort in ("newest", "oldest"):
        assert ids(await every(shared_admin, "/v1/runs", 1, **query, sort=sort)) == expected


@SHARED
@pytest.mark.parametrize(("query", "expected"), APPROVALS, ids=str)
async def test_approvals_are_filtered(
    shared_admin: httpx.AsyncClient, world: object, query: dict[str, Any], expected: set[int]
) -> None:
    assert ids(await every(shared_admin, "/v1/approvals", 1, **query)) == expected


@SHARED
@pytest.mark.parametrize(("query", "expected"), CONTAINMENTS, ids=str)
async def test_containments_are_filtered(
    shared_admin: httpx.AsyncClient, world: object, query: dict[str, Any], expected: set[int]
) -> None:
    assert ids(await every(shared_admin, "/v1/containments", 1, **query)) == expected


@SHARED
async def test_alerts_and_incidents_are_filtered_by_what_they_name(
    shared_admin: httpx.AsyncClient, world: dict[str, list[str]]
) -> None:
    for query, expected in (
        ({"observable": FIRST}, world["alerts"][:1]),
        ({"observable": f"address:{SECOND}"}, world["alerts"][1:]),
        ({"observable": "192.0.2.200"}, []),
        ({"class": "c2_beacon"}, world["alerts"]),
        ({"class": "phishing"}, []),
        ({"source": "edge"}, world["alerts"]),
        ({"severity": 6}, []),
        ({"until": "2020-01-01T00:00:00Z"}, []),
        ({"playbook": "scan"}, world["alerts"][1:]),
        ({"playbook": "phishing"}, []),
        ({"target": f"::ffff:{FIRST}"}, world["alerts"][:1]),
        ({"target": "192.0.2.200"}, []),
        ({"target": FIRST, "playbook": "scan"}, []),
        ({"person": "ann"}, world["alerts"][:1]),
        ({"person": "cleo"}, world["alerts"][1:]),  # who declined
        ({"person": "dan"}, []),
        ({"person": "cleo", "playbook": "c2"}, []),
    ):
        found = await every(shared_admin, "/v1/alerts", 1, **query)
        assert {each["id"] for each in found} == set(expected), query
        incidents = {each["id"] for each in await every(shared_admin, "/v1/incidents", 1, **query)}
        assert incidents == {each["incident_id"] for each in found}, query
    assert await every(shared_admin, "/v1/incidents", 5, status="closed") == []


async def test_tasks_and_the_trail_are_filtered(rt: Runtime, admin: httpx.AsyncClient) -> None:
    made = await furnish(rt, admin)
    (task,) = await every(admin, "/v1/tasks", 1, subject="key_1")
    assert task["kind"] == "stuck_release"
    assert await every(admin, "/v1/tasks", 5, until=NOW.isoformat()) == []
    done = await admin.post(f"/v1/tasks/{task['id']}/close", json={"comment": "lifted by hand"})
    assert done.status_code == 200
    closed = await every(admin, "/v1/tasks", 5, state="all", person="admin-person")
    assert [each["id"] for each in closed] == [task["id"]]
    (event,) = await every(admin, "/v1/audit", 1, person="eve")
    assert event["subject"] == "run_1"
    about = {each["subject"] for each in await every(admin, "/v1/audit", 1, observable=FIRST)}
    assert about == {made["alerts"][0], "run_0"}
    assert await every(admin, "/v1/audit", 5, observable="192.0.2.200") == []
    is_problem(await admin.get("/v1/audit", params={"observable": "address:nowhere"}), 422)
    of_hour = await every(admin, "/v1/audit", 1, since=BETWEEN, until=(NOW + 2 * HOUR).isoformat())
    assert {each["actor"] for each in of_hour} == {"person:eve", "system"}


@SHARED
async def test_oldest_first_is_the_newest_first_reversed(
    shared_admin: httpx.AsyncClient, world: object
) -> None:
    for path in ("/v1/audit", "/v1/alerts", "/v1/runs", "/v1/incidents", "/v1/tasks"):
        newest = await every(shared_admin, path, 2)
        assert await every(shared_admin, path, 3, sort="oldest") == newest[::-1], path


@SHARED
@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        ("/v1/runs", {"since": "yesterday"}, "since"),
        ("/v1/runs", {"since": "2026-01-01T00:00:00"}, "since"),
        ("/v1/runs", {"status": "done"}, "status"),
        ("/v1/runs", {"state": "failed"}, "state"),
        ("/v1/incidents", {"state": "open"}, "state"),
        ("/v1/runs", {"target": "address:nowhere"}, "target"),
        ("/v1/runs", {"sort": "random"}, "sort"),
        ("/v1/alerts", {"severity": 7}, "severity"),
        ("/v1/containments", {"covering": ""}, "covering"),
    ],
)
async def test_bad_filter_is_named(
    shared_admin: httpx.AsyncClient, path: str, query: dict[str, Any], place: str
) -> None:
    assert place in is_problem(await shared_admin.get(path, params=query), 422)["detail"]


@SHARED
async def test_whether_an_address_is_blocked_is_one_request_of_a_viewer(
    shared_people: People, world: object
) -> None:
    found = (
        await shared_people[Role.VIEWER].get(
            "/v1/containments", params={"covering": "203.0.113.77"}
        )
    ).json()["items"]
    assert [(each["target"]["value"], each["state"]) for each in found] == [
        ("203.0.113.0/24", "stuck")
    ]


@SHARED
@pytest.mark.parametrize("collection", ["alerts", "incidents", "tasks"])
async def test_what_begins_with_a_part_of_its_id_is_found(
    shared_admin: httpx.AsyncClient, world: dict[str, Any], collection: str
) -> None:
    whole = (await shared_admin.get(f"/v1/{collection}", params={"limit": 1})).json()["items"][0][
        "id"
    ]
    for length in (len(whole) - 1, len(whole)):
        found = await shared_admin.get(f"/v1/{collection}", params={"id_prefix": whole[:length]})
        assert [each["id"] for each in found.json()["items"]] == [whole]
    kind = whole.partition("_")[0]
    none = await shared_admin.get(f"/v1/{collection}", params={"id_prefix": f"{kind}_ffffffffffff"})
    assert none.json()["items"] == []
    wrong = await shared_admin.get(f"/v1/{collection}", params={"id_prefix": f"{kind}_%"})
    is_problem(wrong, 422)
