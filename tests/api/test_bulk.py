"""Many runs are retried and many containments released at once: what was seen is what is done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from orchestrator.domain.access import Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import (
    ContainmentState,
    EffectState,
    LeaseEndReason,
    LeaseState,
)
from orchestrator.domain.run import DEBUG, RunStatus
from orchestrator.runtime import Runtime
from orchestrator.store.search.selection import MOST, SHOWN
from orchestrator.store.tables import (
    ContainmentRow,
    EffectRow,
    LeaseRow,
    PlaybookRow,
    RunRow,
)
from tests.api.test_api_contract import LATER, NOW
from tests.harness.api_calls import People, events, is_problem
from tests.harness.history_rig import change_of

RETRY, RELEASE = "/v1/runs/retry", "/v1/containments/release"
STOPPED = "block: refused: the kill switch for everything is engaged: storm"


def run_row(name: str, **columns: Any) -> RunRow:
    values = {
        "playbook": "c2",
        "version": 1,
        "plan_digest": "p",
        "source": "edge",
        "severity": 3,
        "status": RunStatus.ROLLED_BACK,
        "error": STOPPED,
        "started_by": "source:edge",
        "dispatched": True,
        "created_at": NOW,
        "ended_at": NOW,
    }
    return RunRow(id=name, **{**values, **columns})


async def add(rt: Runtime, *rows: Any) -> None:
    async with rt.store.write() as session:
        session.add_all(rows)


@pytest.fixture
async def storm(rt: Runtime) -> Runtime:
    """A kill switch stopped three runs; one ended otherwise, one waits, one is of a debug session."""
    debug = PlaybookRow(
        name="debug",
        version=1,
        digest="d",
        title="",
        owner="",
        plan={},
        source="",
        stage=DEBUG,
        published_at=NOW,
        published_by="person:ann",
    )
    await add(
        rt,
        run_row("run_a"),
        run_row("run_b", created_at=NOW + timedelta(seconds=1)),
        run_row("run_c", playbook="scan", created_at=NOW + timedelta(seconds=2)),
        run_row("run_done", status=RunStatus.COMPLETED, error=None),
        run_row("run_waits", status=RunStatus.WAITING, error=None, ended_at=None),
        run_row("run_debug", playbook="debug", error="stopped"),
        debug,
    )
    return rt


async def preview(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    reply = await client.post(path, json={**body, "preview": True})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    assert found["preview"]
    return found


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {item["id"]: item["result"] for item in answer["items"]}


async def test_runs_that_a_kill_switch_stopped_are_retried_as_seen(
    people: People, storm: Runtime
) -> None:
    analyst = people[Role.ANALYST]
    stopped = {"filter": {"error": "kill switch", "ended_since": NOW.isoformat()}}
    seen = await preview(analyst, RETRY, **stopped)
    assert results(seen) == dict.fromkeys(["run_c", "run_b", "run_a"], "retryable")
    assert await events(storm, EventKind.RUN_RETRIED) == []
    done = await analyst.post(
        RETRY, json={**stopped, "count": seen["count"], "digest": seen["digest"]}
    )
    assert done.status_code == 200, done.text
    assert results(done.json()) == dict.fromkeys(["run_c", "run_b", "run_a"], "retried")
    assert {(item["run"]["status"], item["run"]["attempt"]) for item in done.json()["items"]} == {
        ("running", 2)
    }
    recorded = await events(storm, EventKind.RUN_RETRIED)
    assert {(event.subject, event.actor) for event in recorded} == {
        (name, "person:analyst-person") for name in ("run_a", "run_b", "run_c")
    }
    assert (await preview(analyst, RETRY, **stopped))["count"] == 0


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"playbook": "scan"}, {"run_c"}),
        ({"since": (NOW + timedelta(seconds=1)).isoformat()}, {"run_b", "run_c"}),
        ({"status": ["completed"]}, {"run_done"}),
        ({"source": "edge"}, {"run_a", "run_b", "run_c", "run_debug"}),
        ({"severity": 4}, set()),
        ({"incident_id": "inc_none"}, set()),
        ({"person": "ann"}, set()),
        ({"target": "198.51.100.7"}, set()),
        ({"class": "c2_beacon"}, set()),
    ],
)
async def test_filter_is_that_of_the_list_and_leaves_out_what_cannot_be_retried(
    people: People, storm: Runtime, chosen: dict[str, Any], found: set[str]
) -> None:
    seen = await preview(people[Role.ANALYST], RETRY, filter=chosen)
    assert (results(seen).keys(), seen["count"]) == (found, len(found))


async def test_run_that_cannot_be_retried_is_refused_alone(people: People, storm: Runtime) -> None:
    analyst = people[Role.ANALYST]
    ids = ["run_a", "run_done", "run_waits", "run_debug", "run_none", "run_a"]
    refused = {
        "run_done": "only a run that is cancelled, declined, deferred, failed, rolled_back",
        "run_waits": "run run_waits is waiting",
        "run_debug": "debug session",
        "run_none": "run run_none does not exist",
    }
    foreseen = await preview(analyst, RETRY, ids=ids)
    done = (await analyst.post(RETRY, json={"ids": ids})).json()
    for answer, good in ((foreseen, "retryable"), (done, "retried")):
        assert answer["count"] == 5
        assert results(answer) == {"run_a": good, **dict.fromkeys(refused, "refused")}
        for item in answer["items"]:
            assert refused.get(item["id"], "") in (item["reason"] or "")
    assert [event.subject for event in await events(storm, EventKind.RUN_RETRIED)] == ["run_a"]


async def test_other_runs_than_those_that_were_seen_are_not_retried(
    people: People, storm: Runtime
) -> None:
    analyst = people[Role.ANALYST]
    chosen = {"filter": {"playbook": "c2"}}
    seen = await preview(analyst, RETRY, **chosen)
    as_seen = {**chosen, "count": seen["count"], "digest": seen["digest"]}
    await add(storm, run_row("run_new"))
    problem = is_problem(await analyst.post(RETRY, json=as_seen), 409)
    assert "3 runs fit now, not 2" in problem["detail"]
    assert (await analyst.post("/v1/runs/run_a/retry")).status_code == 202
    problem = is_problem(await analyst.post(RETRY, json=as_seen), 409)
    assert "other runs fit now" in problem["detail"]
    assert len(await events(storm, EventKind.RUN_RETRIED)) == 1
    assert (await analyst.post(RETRY, json={**chosen, "count": 2})).status_code == 200


async def test_one_request_changes_a_limited_number(people: People, rt: Runtime) -> None:
    analyst = people[Role.ANALYST]
    await add(rt, *(run_row(f"run_{number}") for number in range(MOST + 1)))
    chosen = {"filter": {"playbook": "c2"}}
    seen = await preview(analyst, RETRY, **chosen)
    assert (seen["count"], seen["digest"], len(seen["items"])) == (MOST + 1, None, SHOWN)
    problem = is_problem(await analyst.post(RETRY, json={**chosen, "count": MOST + 1}), 422)
    assert f"{MOST + 1} runs fit, and one request changes {MOST} at most" in problem["detail"]
    assert await events(rt, EventKind.RUN_RETRIED) == []


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        ({}, "give either `ids` or `filter`"),
        ({"ids": ["a"], "filter": {"source": "edge"}}, "give either `ids` or `filter`"),
        ({"filter": {}, "preview": True}, "at least one condition"),
        ({"filter": {"source": "edge"}}, "count: send that of the preview"),
        ({"ids": ["a"], "digest": "d"}, "count: send that of the preview"),
        ({"filter": {"target": "address:x"}, "preview": True}, "target"),
        ({"filter": {"sauce": "edge"}, "preview": True}, "sauce"),
        ({"ids": []}, "ids"),
    ],
)
@pytest.mark.parametrize("path", [RETRY, RELEASE])
async def test_incomplete_request_is_refused_with_the_fix(
    people: People, rt: Runtime, path: str, body: dict[str, Any], fix: str
) -> None:
    assert fix in is_problem(await people[Role.ANALYST].post(path, json=body), 422)["detail"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR, Role.AUTHOR, Role.APPROVER])
@pytest.mark.parametrize("path", [RETRY, RELEASE])
async def test_permission_is_that_of_the_single_call_also_for_a_preview(
    people: People, rt: Runtime, path: str, role: Role
) -> None:
    one = await people[role].post(path.replace("/re", "/any/re"))
    body = {"ids": ["any"], "preview": True}
    assert one.status_code == (await people[role].post(path, json=body)).status_code == 403


def contained(key: str, **columns: Any) -> ContainmentRow:
    values = {
        "connection": "fw",
        "action": "block_address",
        "target_type": "address",
        "target_value": "198.51.100.7",
        "state": ContainmentState.HELD,
        "ours": True,
        "since": NOW,
    }
    return ContainmentRow(key=key, **{**values, **columns})


def lease(key: str, run: str, **columns: Any) -> LeaseRow:
    return LeaseRow(
        id=f"{run}/{key}",
        containment_key=key,
        run_id=run,
        path=key,
        until=LATER,
        created_at=NOW,
        **columns,
    )


@pytest.fixture
async def network(rt: Runtime) -> Runtime:
    """Runs hold `one` and `shared`; `scan` holds `shared` too; others are stuck, lifting, lifted."""
    ended = {"state": LeaseState.ENDED, "end_reason": LeaseEndReason.RELEASED, "ended_at": NOW}
    await add(
        rt,
        run_row("run_a", status=RunStatus.COMPLETED),
        run_row("run_b", status=RunStatus.COMPLETED, playbook="scan", source="siem"),
        contained("one"),
        contained("shared", target_type="network", target_value="203.0.113.0/24"),
        contained("stuck", state=ContainmentState.STUCK, connection="edr", retry_at=LATER),
        contained("lifting", state=ContainmentState.LIFTING, connection="edr"),
        contained("lifted", state=ContainmentState.LIFTED, connection="edr", lifted_at=NOW),
        contained("scanned", connection="waf"),
        lease("one", "run_a"),
        lease("shared", "run_a"),
        lease("shared", "run_b"),
        lease("scanned", "run_a", **ended),
        lease("scanned", "run_b"),
    )
    return rt


async def test_all_on_a_connection_is_released_as_seen(people: People, network: Runtime) -> None:
    analyst = people[Role.ANALYST]
    chosen = {"filter": {"connection": "fw"}}
    seen = await preview(analyst, RELEASE, **chosen)
    assert results(seen) == {"one": "releasable", "shared": "releasable"}
    assert await events(network, EventKind.LEASE_CHANGED) == []
    body = {**chosen, "count": 2, "digest": seen["digest"], "reason": "false positives"}
    done = await analyst.post(RELEASE, json=body)
    assert results(done.json()) == {"one": "released", "shared": "released"}
    for item in done.json()["items"]:
        assert {each["ended_by"] for each in item["containment"]["leases"]} == {
            "person:analyst-person"
        }
    recorded = await events(network, EventKind.LEASE_CHANGED)
    assert {event.data["lease"] for event in recorded} == {
        "run_a/one",
        "run_a/shared",
        "run_b/shared",
    }
    assert {event.data["reason"] for event in recorded} == {"false positives"}


@pytest.mark.parametrize("chosen", [{"playbook": "c2"}, {"source": "edge"}, {"run_id": "run_a"}])
async def test_condition_about_runs_ends_only_their_leases(
    people: People, network: Runtime, chosen: dict[str, Any]
) -> None:
    analyst = people[Role.ANALYST]
    done = await analyst.post(RELEASE, json={"filter": chosen, "count": 3})
    assert {item["id"]: item["leases"] for item in done.json()["items"]} == {
        "one": ["run_a/one"],
        "shared": ["run_a/shared"],
        "scanned": [],
    }
    (refused,) = (item for item in done.json()["items"] if item["result"] == "refused")
    assert (refused["id"], "other runs hold" in refused["reason"]) == ("scanned", True)
    recorded = await events(network, EventKind.LEASE_CHANGED)
    assert {event.data["lease"] for event in recorded} == {"run_a/one", "run_a/shared"}


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"target": "203.0.113.0/24"}, {"shared"}),
        ({"covering": "203.0.113.9"}, {"shared"}),
        ({"connection": "edr"}, {"stuck", "lifting"}),
        ({"connection": "edr", "state": ["all"]}, {"stuck", "lifting", "lifted"}),
        ({"state": ["stuck"]}, {"stuck"}),
        ({"incident_id": "inc_none"}, set()),
        ({"since": LATER.isoformat()}, set()),
    ],
)
async def test_filter_of_a_release_is_that_of_the_list(
    people: People, network: Runtime, chosen: dict[str, Any], found: set[str]
) -> None:
    seen = await preview(people[Role.ANALYST], RELEASE, filter=chosen)
    assert (results(seen).keys(), seen["count"]) == (found, len(found))


async def test_what_cannot_be_released_is_refused_alone_and_stuck_is_tried_again(
    people: People, network: Runtime
) -> None:
    analyst = people[Role.ANALYST]
    ids = ["stuck", "lifting", "lifted", "none"]
    refused = {
        "lifting": "is being lifted already",
        "lifted": "is released already",
        "none": "containment none does not exist",
    }
    foreseen = await preview(analyst, RELEASE, ids=ids)
    done = (await analyst.post(RELEASE, json={"ids": ids})).json()
    for answer, good in ((foreseen, "releasable"), (done, "released")):
        assert results(answer) == {"stuck": good, **dict.fromkeys(refused, "refused")}
        for item in answer["items"]:
            assert refused.get(item["id"], "") in (item["reason"] or "")
    async with network.store.read() as session:
        stuck = await session.get(ContainmentRow, "stuck")
    assert stuck is not None
    assert stuck.retry_at is not None
    assert stuck.retry_at < LATER


async def test_kill_switch_that_stops_releases_is_named(people: People, network: Runtime) -> None:
    effect = EffectRow(
        id="eff_one",
        run_id="run_a",
        path="one",
        seq=1,
        playbook="c2",
        connection="fw",
        connector="palo_alto",
        action="block_address",
        effect="contain",
        target_type="address",
        target_value="198.51.100.7",
        containment_key="one",
        change=change_of("198.51.100.7").model_dump(mode="json"),
        change_digest="c",
        state=EffectState.VERIFIED,
        intended_at=NOW,
    )
    await add(network, effect)
    analyst = people[Role.ANALYST]
    stop = {"scope": "connection", "name": "fw", "reason": "forensics", "stop_releases": True}
    assert (await analyst.post("/v1/kill-switches", json=stop)).status_code == 201
    foreseen = await preview(analyst, RELEASE, ids=["one", "scanned"])
    done = (await analyst.post(RELEASE, json={"ids": ["one", "scanned"]})).json()
    for answer in (foreseen, done):
        reasons = {item["id"]: item["reason"] for item in answer["items"]}
        assert "kill switch for connection fw stops releases too: forensics" in reasons["one"]
        assert reasons["scanned"] is None
