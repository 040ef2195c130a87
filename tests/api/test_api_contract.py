"""The names that external scripts rely on stay, and lists page to their end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from orchestrator.domain.access import Permission, Role
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.run import RunStatus, StepState
from orchestrator.runtime import Runtime
from orchestrator.store.tables import ApprovalRow, ContainmentRow, LeaseRow, RunRow, StepRow
from tests.harness.api_calls import EDGE, People, add_edge, alert, is_problem
from tests.harness.databases import edit_rows

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = datetime(2126, 3, 4, 5, 6, 7, tzinfo=UTC)
ANY = {"if-match": "*"}
CHANGE = {
    "connection": "firewall",
    "connector": "palo_alto",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7"},
    "planned_change": {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag it",
    },
    "digest": "c1",
}
PLAYBOOK = """\
playbook: {name}
version: {version}
title: Ask a person
owner: soc
steps:
  - id: pause
    wait: 1m
"""


@pytest.fixture
async def rows(rt: Runtime) -> Runtime:
    """Return a runtime with a run that waits for a decision, and a containment."""
    async with rt.store.write() as session:
        for number in range(5):
            session.add(
                RunRow(
                    id=f"run_{number}",
                    playbook="c2",
                    version=3,
                    plan_digest="p",
                    incident_id="inc_1",
                    status=RunStatus.WAITING,
                    started_by="source:edge",
                    created_at=NOW + timedelta(seconds=number // 2),
                    dispatched=True,
                )
            )
        session.add(
            StepRow(
                run_id="run_1",
                path="block",
                kind="use",
                state=StepState.VERIFIED,
                seq=1,
                planned_change=CHANGE["planned_change"],
                inputs={"password": "hunter2"},
                started_at=NOW,
            )
        )
        session.add(
            ApprovalRow(
                id="apr_1",
                run_id="run_1",
                workflow_id="w",
                path="block",
                kind="change",
                question="Block?",
                changes=[CHANGE],
                digest="d",
                state="pending",
                asked_at=NOW,
                expires_at=LATER,
            )
        )
        session.add(
            ContainmentRow(
                key="k1",
                connection="firewall",
                action="block_address",
                target_type="address",
                target_value="198.51.100.7",
                state=ContainmentState.HELD,
                ours=True,
                since=NOW,
            )
        )
        session.add(
            LeaseRow(
                id="l1",
                containment_key="k1",
                run_id="run_1",
                path="block",
                until=LATER,
                created_at=NOW,
            )
        )
    return rt


async def every(
    client: httpx.AsyncClient, path: str, limit: int, **query: Any
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(50):
        reply = await client.get(path, params={"limit": limit, **query, **cursor})
        assert reply.status_code == 200, reply.text
        page = reply.json()
        assert set(page) == {"items", "next"}
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}
    raise AssertionError("the list has no end")


async def test_runs_of_an_incident_page_to_the_end(admin: httpx.AsyncClient, rows: Runtime) -> None:
    for limit in (1, 2, 3, 5, 200):
        found = await every(admin, "/v1/runs", limit, incident_id="inc_1")
        assert [run["id"] for run in found] == ["run_4", "run_3", "run_2", "run_1", "run_0"]
    assert {"id", "status", "playbook", "version"} <= set(found[0])
    assert await every(admin, "/v1/runs", 5, incident_id="inc_2") == []


async def test_run_shows_its_steps_with_secrets_masked(
    admin: httpx.AsyncClient, rows: Runtime
) -> None:
    run = (await admin.get("/v1/runs/run_1")).json()
    assert (run["id"], run["status"]) == ("run_1", "waiting")
    (step,) = run["steps"]
    assert (step["id"], step["state"], step["planned_change"]["summary"]) == (
        "block",
        "verified",
        "Tag it",
    )
    assert "hunter2" not in str(run)
    is_problem(await admin.get("/v1/runs/run_x"), 404)


async def test_approval_is_listed_shown_and_decided_once(people: People, rows: Runtime) -> None:
    approver, admin = people[Role.APPROVER], people[Role.ADMIN]
    (item,) = await every(approver, "/v1/approvals", 5, state="pending")
    assert {"id", "digest", "question", "planned_changes"} <= set(item)
    body = {"decision": "approve", "digest": item["digest"], "comment": "seen"}
    is_problem(
        await approver.post("/v1/approvals/apr_1/decide", json={**body, "digest": "other"}), 409
    )
    is_problem(await people[Role.AUTHOR].post("/v1/approvals/apr_1/decide", json=body), 403)
    done = await approver.post("/v1/approvals/apr_1/decide", json=body)
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    is_problem(await admin.post("/v1/approvals/apr_1/decide", json=body), 409)
    assert await every(approver, "/v1/approvals", 5, state="pending") == []


async def test_approval_of_a_restore_names_the_leases_that_it_ends(
    admin: httpx.AsyncClient, rows: Runtime
) -> None:
    holder = {
        "lease": "run_1/block",
        "containment": "k1",
        "run": "run_1",
        "playbook": "c2",
        "target": CHANGE["planned_change"]["target"],
        "expires_at": "2126-03-04T05:06:07Z",
    }
    async with rows.store.write() as session:
        row = await session.get(ApprovalRow, "apr_1")
        assert row is not None
        row.changes = [{**CHANGE, "effect": "restore", "holders": [holder]}]
    (change,) = (await admin.get("/v1/approvals/apr_1")).json()["planned_changes"]
    assert change["holders"] == [
        {
            "lease_id": "run_1/block",
            "containment_id": "k1",
            "run_id": "run_1",
            "playbook": "c2",
            "target": {"type": "address", "value": "198.51.100.7"},
            "expires_at": "2126-03-04T05:06:07Z",
        }
    ]


async def test_approval_is_withdrawn_before_any_effect(people: People, rows: Runtime) -> None:
    approver, path = people[Role.APPROVER], "/v1/approvals/apr_1/withdraw"
    is_problem(await approver.post(path, json={}), 409)
    await approver.post("/v1/approvals/apr_1/decide", json={"decision": "approve", "digest": "d"})
    is_problem(await people[Role.AUTHOR].post(path, json={}), 403)
    done = (await approver.post(path, json={"comment": "not this one"})).json()
    assert (done["approval"]["state"], done["already_begun"], done["note"]) == ("withdrawn", [], "")


async def test_break_glass_approval_waits_for_the_review_of_another_person(
    people: People, rows: Runtime
) -> None:
    approver, admin = people[Role.APPROVER], people[Role.ADMIN]
    body = {"digest": "d", "reason": "no one else is awake"}
    is_problem(await approver.post("/v1/approvals/apr_1/break-glass", json=body), 403)
    is_problem(
        await admin.post("/v1/approvals/apr_1/break-glass", json={**body, "reason": "so"}), 422
    )
    done = (await admin.post("/v1/approvals/apr_1/break-glass", json=body)).json()
    assert (done["state"], done["break_glass"]["review"]) == ("approved", "pending")
    assert [item["id"] for item in await every(approver, "/v1/approvals", 5, review="pending")] == [
        "apr_1"
    ]
    is_problem(await admin.post("/v1/approvals/apr_1/review", json={"verdict": "accepted"}), 403)
    done = (
        await approver.post(
            "/v1/approvals/apr_1/review", json={"verdict": "objected", "comment": "call me"}
        )
    ).json()
    assert (done["break_glass"]["review"], done["break_glass"]["reviewed_by"]) == (
        "objected",
        "approver-person",
    )
    assert await every(approver, "/v1/approvals", 5, review="pending") == []


async def test_containment_is_shown_and_released_while_temporal_is_down(
    people: People, rows: Runtime
) -> None:
    (item,) = await every(people[Role.VIEWER], "/v1/containments", 5, state="held")
    assert item["target"] == {"type": "address", "value": "198.51.100.7"}
    assert item["leases"][0]["run_id"] == "run_1"
    is_problem(await people[Role.VIEWER].post("/v1/containments/k1/release"), 403)
    assert (await people[Role.ANALYST].post("/v1/containments/k1/release")).status_code == 202
    is_problem(await people[Role.ANALYST].post("/v1/containments/none/release"), 404)


async def test_run_is_started_by_hand_and_cancelled_before_dispatch(
    people: People,
) -> None:
    author, analyst = people[Role.AUTHOR], people[Role.ANALYST]
    published = await author.post(
        "/v1/playbooks", json={"text": PLAYBOOK.format(name="pause", version=1)}
    )
    assert published.status_code == 201, published.text
    is_problem(await author.post("/v1/runs", json={"playbook": "pause"}), 403)
    is_problem(await analyst.post("/v1/runs", json={"playbook": "nothing"}), 404)
    is_problem(await analyst.post("/v1/runs", json={"playbook": "pause", "inputs": {"a": 1}}), 422)
    run = await analyst.post("/v1/runs", json={"playbook": "pause", "mode": "dry_run"})
    assert (run.status_code, run.json()["mode"], run.json()["version"]) == (201, "dry_run", 1)
    cancelled = await analyst.post(f"/v1/runs/{run.json()['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    is_problem(await analyst.post(f"/v1/runs/{run.json()['id']}/cancel"), 409)
    assert (await analyst.post(f"/v1/runs/{run.json()['id']}/retry")).json()["attempt"] == 2


async def test_playbook_is_checked_published_shown_and_retired(people: People) -> None:
    author = people[Role.AUTHOR]
    problem = is_problem(
        await author.post(
            "/v1/authoring/check",
            json={"text": "playbook: x\nversion: 1\nstepz: []\n", "file": "x.yaml"},
        ),
        422,
    )
    assert any(each["line"] == 3 and each["place"] == "x.yaml" for each in problem["errors"])
    text = PLAYBOOK.format(name="pause", version=2)
    assert (await author.post("/v1/authoring/check", json={"text": text})).json()["version"] == 2
    assert (await author.post("/v1/playbooks", json={"text": text})).status_code == 201
    assert (await author.post("/v1/playbooks", json={"text": text})).status_code == 201
    assert (
        "raise `version`"
        in is_problem(
            await author.post("/v1/playbooks", json={"text": text.replace("1m", "2m")}), 409
        )["detail"]
    )
    assert (await author.get("/v1/playbooks/pause")).json()["source"] == text
    assert (await author.get("/v1/authoring/schema")).json()["$schema"]
    assert (await author.post("/v1/playbooks/pause/2/retire")).json()["retired"] is True
    is_problem(await author.get("/v1/playbooks/pause"), 404)
    assert [item["version"] for item in await every(author, "/v1/playbooks", 1)] == [2]


async def test_policy_is_published_and_a_bad_one_refused_with_its_line(
    admin: httpx.AsyncClient,
) -> None:
    assert (await admin.get("/v1/policy")).json()["version"] == 1
    assert (
        "2:"
        in is_problem(
            await admin.put("/v1/policy", json={"text": "protect:\n  hostz: [a]\n"}, headers=ANY),
            422,
        )["detail"]
    )
    assert (
        await admin.put("/v1/policy", json={"text": "protect: {hosts: [dc-1]}\n"}, headers=ANY)
    ).json()["version"] == 2


async def test_audit_trail_pages_newest_first(admin: httpx.AsyncClient) -> None:
    await add_edge(admin)
    found = await every(admin, "/v1/audit", 2)
    numbers = [item["number"] for item in found]
    assert numbers == sorted(set(numbers), reverse=True)
    assert [item["kind"] for item in await every(admin, "/v1/audit", 1, kind="source:saved")] == [
        "source:saved"
    ]


async def test_alerts_and_incidents_page_and_filter_by_incident(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await add_edge(admin, correlate_by="remote")
    ids = {}
    for last in range(1, 6):
        taken = (
            await stranger.post(
                "/v1/webhooks/edge", content=alert(f"198.51.100.{last}"), headers=EDGE
            )
        ).json()
        ids[taken["incident_id"]] = taken["alert_id"]
    assert {item["id"] for item in await every(admin, "/v1/alerts", 2)} == set(ids.values())
    assert {item["id"] for item in await every(admin, "/v1/incidents", 2, status="open")} == set(
        ids
    )
    incident, alert_id = next(iter(ids.items()))
    assert [item["id"] for item in await every(admin, "/v1/alerts", 2, incident_id=incident)] == [
        alert_id
    ]
    shown = (await admin.get(f"/v1/alerts/{alert_id}")).json()
    assert shown["alert"]["remote"]["address"] == "198.51.100.1"
    assert (await admin.get(f"/v1/incidents/{incident}")).json()["alerts"] == 1
    is_problem(await admin.get("/v1/incidents/none"), 404)
    is_problem(await admin.get("/v1/alerts/none/raw"), 404)


async def test_secrets_are_never_returned(admin: httpx.AsyncClient) -> None:
    made = await add_edge(admin, secret=None)
    assert made["secret"]
    for path in ("/v1/sources", "/v1/audit", "/v1/keys"):
        assert made["secret"] not in (await admin.get(path)).text
    settings = {"base_url": "https://firewall.example", "api_key": "hunter2-hunter2"}
    saved = await admin.put(
        "/v1/connections/firewall",
        json={"connector": "palo_alto", "settings": settings, "check": False},
    )
    assert saved.status_code == 200, saved.text
    for text in (
        saved.text,
        (await admin.get("/v1/connections")).text,
        (await admin.get("/v1/audit")).text,
    ):
        assert "hunter2" not in text
    refused = await admin.put(
        "/v1/connections/firewall",
        json={"connector": "palo_alto", "settings": {"api_key": "hunter2", "base_url": 7}},
    )
    assert "hunter2" not in str(is_problem(refused, 422))
    assert (await admin.delete("/v1/connections/firewall")).status_code == 204
    is_problem(await admin.post("/v1/connections/firewall/check"), 404)
    assert (await admin.delete("/v1/sources/edge")).status_code == 204


async def test_narrowed_admin_key_cannot_create_a_wider_one(narrowed: Any) -> None:
    client = await narrowed((Permission.ADMIN, Permission.READ))
    is_problem(await client.post("/v1/keys", json={"person": "eve", "roles": ["admin"]}), 403)
    is_problem(await client.post("/v1/keys", json={"person": "eve", "roles": ["approver"]}), 403)
    assert (await client.post("/v1/people", json={"id": "eve"})).status_code == 201
    is_problem(await client.patch("/v1/people/eve", json={"groups": ["soc-leads"]}), 403)
    made = await client.post(
        "/v1/keys",
        json={"person": "eve", "roles": ["viewer"], "scopes": ["read"], "expires_in": 3600},
    )
    assert made.status_code == 201
    assert [item["person"] for item in await every(client, "/v1/keys", 2)].count("eve") == 1


async def test_assets_are_imported_all_or_none(admin: httpx.AsyncClient) -> None:
    good = {"type": "address", "value": "10.0.0.1", "critical": True}
    assert (await admin.post("/v1/assets", json=[good])).json() == {"imported": 1}
    is_problem(
        await admin.post(
            "/v1/assets", json=[{**good, "value": "10.0.0.2"}, {**good, "value": "no address"}]
        ),
        422,
    )
    assert [item["value"] for item in await every(admin, "/v1/assets", 1)] == ["10.0.0.1"]


async def test_inventory_is_imported_as_csv_and_an_asset_removed(
    admin: httpx.AsyncClient,
) -> None:
    text = {"content-type": "text/csv; charset=utf-8"}
    good = "type,value,kind,critical,tags\nnetwork,10.77.0.0/16,network,false,own-network\nhost,csv-1,server,true,tier-0|europe\n"
    assert (await admin.post("/v1/assets", content=good, headers=text)).json() == {"imported": 2}
    wrong = await admin.post(
        "/v1/assets", content="type,value\nhost,csv-2\nhost,CSV-2.\n", headers=text
    )
    is_problem(wrong, 422)
    assert "line 3: host csv-2 is a duplicate of line 2" in wrong.json()["detail"]
    is_problem(
        await admin.post("/v1/assets", content=good, headers={"content-type": "text/plain"}), 415
    )
    assert (
        await admin.delete("/v1/assets", params={"type": "network", "value": "10.77.0.1/16"})
    ).status_code == 204
    is_problem(
        await admin.delete("/v1/assets", params={"type": "network", "value": "10.77.0.0/16"}), 404
    )


async def test_metrics_say_what_is_in_force_and_how_long_people_are_awaited(
    people: People, rows: Runtime
) -> None:
    lines = (await people[Role.VIEWER].get("/metrics")).text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert found['tocsin_containments{state="held"}'] == "1.0"
    assert found['tocsin_containments{state="stuck"}'] == "0.0"
    assert found['tocsin_notifications{state="failed"}'] == "0.0"
    assert found['tocsin_tasks_open{kind="drift"}'] == "0.0"
    assert float(found["tocsin_approvals_pending"]) >= 1
    assert found["tocsin_releases_overdue"] == "0.0"
    for age in ("tocsin_approval_oldest_seconds", "tocsin_audit_unsealed_seconds"):
        assert float(found[age]) >= 0


async def test_metrics_say_how_long_a_release_has_been_due(people: People, rows: Runtime) -> None:
    async with rows.store.write() as session:
        await edit_rows(session, LeaseRow, until=rows.clock() - timedelta(seconds=30))
    text = (await people[Role.VIEWER].get("/metrics")).text
    assert "tocsin_releases_overdue 1.0" in text
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(found["tocsin_release_oldest_overdue_seconds"]) >= 30
