"""The webhook accepts an alert once, completely, and from its source only."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import func, select

from orchestrator.domain.audit_event import EventKind
from orchestrator.intake import sources
from orchestrator.runtime import REFUSALS_PER_MINUTE, Runtime
from orchestrator.store.tables import AlertRow, IncidentRow
from tests.harness.api_calls import EDGE, add_edge, alert, events, is_problem, signed


@pytest.fixture
async def edge(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key, with the source `edge` in place."""
    await add_edge(admin)
    yield stranger


async def kept(rt: Runtime) -> tuple[int, int]:
    async with rt.store.read() as session:
        alerts = await session.scalar(select(func.count()).select_from(AlertRow))
        incidents = await session.scalar(select(func.count()).select_from(IncidentRow))
    return alerts or 0, incidents or 0


async def test_new_alert_is_202_and_a_duplicate_200_with_the_same_ids(
    edge: httpx.AsyncClient, rt: Runtime
) -> None:
    first = await edge.post("/v1/webhooks/edge", content=alert(), headers=EDGE)
    again = await edge.post("/v1/webhooks/edge", content=alert(), headers=EDGE)
    assert (first.status_code, again.status_code) == (202, 200)
    one, two = first.json(), again.json()
    assert (one["duplicate"], two["duplicate"]) == (False, True)
    assert (one["alert_id"], one["incident_id"]) == (two["alert_id"], two["incident_id"])
    assert one["alerts"] == [
        {
            "alert_id": one["alert_id"],
            "incident_id": one["incident_id"],
            "duplicate": False,
            "matched": [],
            "run_ids": [],
            "deferred_run_ids": [],
            "covered_by": [],
            "incomplete": [],
        }
    ]
    assert (one["matched"], one["covered_by"], one["rejected"]) == ([], [], [])
    assert two["run_ids"] == []
    assert await kept(rt) == (1, 1)


async def test_concurrent_duplicates_make_one_alert(edge: httpx.AsyncClient, rt: Runtime) -> None:
    replies = await asyncio.gather(
        *(edge.post("/v1/webhooks/edge", content=alert(), headers=EDGE) for _ in range(20))
    )
    assert sorted(reply.status_code for reply in replies) == [200] * 19 + [202]
    assert len({reply.json()["alert_id"] for reply in replies}) == 1
    assert await kept(rt) == (1, 1)


async def test_raw_alert_is_returned_byte_for_byte_as_a_download(
    edge: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    sent = b" " + alert(signature="<script>alert(1)</script>") + b"\n"
    id_ = (await edge.post("/v1/webhooks/edge", content=sent, headers=EDGE)).json()["alert_id"]
    reply = await admin.get(f"/v1/alerts/{id_}/raw")
    assert reply.content == sent
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_telemetry_is_ignored_and_not_stored(edge: httpx.AsyncClient, rt: Runtime) -> None:
    flow = {**json.loads(alert()), "event_type": "flow"}
    reply = await edge.post("/v1/webhooks/edge", json=flow, headers=EDGE)
    assert reply.status_code == 200
    assert reply.json()["ignored"]
    assert await kept(rt) == (0, 0)


BAD = [
    pytest.param(b"", 400, "empty", id="nothing"),
    pytest.param(b"{", 400, "not JSON", id="half an object"),
    pytest.param(b'{"a": NaN}', 400, "NaN", id="NaN"),
    pytest.param(b"\xff\xfe{}", 400, "UTF-8", id="invalid UTF-8"),
    pytest.param(b'{"a": "\xc3"}', 400, "UTF-8", id="half a character"),
    pytest.param(b"[" * 5000 + b"]" * 5000, 400, "deeper", id="a depth bomb of lists"),
    pytest.param(b'{"a":' * 3000 + b"1" + b"}" * 3000, 400, "deeper", id="a depth bomb of objects"),
    pytest.param(b'{"a": 1, "a": 2}', 422, "twice", id="a key twice"),
    pytest.param(b'{"a": 1e999}', 422, "double", id="a number beyond a double"),
    pytest.param(b"[1, 2]", 422, "", id="not what Suricata sends"),
    pytest.param(b"{}", 422, "", id="an empty object"),
    pytest.param(b'"' + b"x" * 30_000 + b'"', 413, "20000", id="over the limit"),
]


@pytest.mark.parametrize(("body", "status", "said"), BAD)
async def test_bad_body_is_refused_with_the_reason_and_not_stored(
    edge: httpx.AsyncClient, rt: Runtime, body: bytes, status: int, said: str
) -> None:
    assert (
        said
        in is_problem(await edge.post("/v1/webhooks/edge", content=body, headers=EDGE), status)[
            "detail"
        ]
    )
    assert await kept(rt) == (0, 0)


async def test_endless_body_without_a_length_is_cut_early(edge: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1000
            yield b"x" * 1000

    reply = await edge.post("/v1/webhooks/edge", content=endless(), headers=EDGE)
    assert "20000" in is_problem(reply, 413)["detail"]
    assert sent <= 25_000
    assert reply.headers["connection"] == "close"


async def test_body_announced_as_too_long_is_not_read(
    edge: httpx.AsyncClient,
) -> None:
    sent = 0

    async def announced() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(30):
            sent += 1000
            yield b"x" * 1000

    is_problem(
        await edge.post(
            "/v1/webhooks/edge", content=announced(), headers={**EDGE, "content-length": "30000"}
        ),
        413,
    )
    assert sent == 0


async def test_wrong_content_length_does_not_raise_the_limit(edge: httpx.AsyncClient) -> None:
    is_problem(
        await edge.post(
            "/v1/webhooks/edge", content=b"x" * 30_000, headers={**EDGE, "content-length": "10"}
        ),
        413,
    )


@pytest.mark.attack(
    "ask which sources exist", before="404 for an unknown one, 401 for a wrong secret"
)
async def test_unknown_source_is_answered_like_a_wrong_credential(
    edge: httpx.AsyncClient, rt: Runtime
) -> None:
    wrong = {"authorization": "Bearer wrong"}
    unknown, known = [
        is_problem(await edge.post(f"/v1/webhooks/{name}", content=alert(), headers=wrong), 401)
        for name in ("unknown", "edge")
    ]
    assert {**unknown, "request_id": ""} == {**known, "request_id": ""}
    second, first = await events(rt, EventKind.ALERT_REFUSED)
    assert (first.actor, first.data["reason"]) == ("anonymous", "unknown_source")
    assert (second.actor, second.data["reason"]) == ("source:edge", "mismatch")


@pytest.mark.attack("send bad credentials in bulk", before="one audit event for each of 3,000")
@pytest.mark.parametrize("source", ["edge", "unknown"])
async def test_bad_credentials_are_counted(
    edge: httpx.AsyncClient, rt: Runtime, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    now = [0.0]
    monkeypatch.setattr(rt.refusals, "_clock", lambda: now[0])
    for _ in range(REFUSALS_PER_MINUTE + 5):
        is_problem(await edge.post(f"/v1/webhooks/{source}", content=alert(), headers={}), 401)
    assert len(await events(rt, EventKind.ALERT_REFUSED)) == REFUSALS_PER_MINUTE
    now[0] = 60.0
    is_problem(await edge.post(f"/v1/webhooks/{source}", content=alert(), headers={}), 401)
    last, *_ = await events(rt, EventKind.ALERT_REFUSED)
    assert last.data["left_out_before"] == 5
    shown = await sources.get_source(rt, "edge")
    assert shown.activity.refused == (REFUSALS_PER_MINUTE + 6 if source == "edge" else 0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic YTpi"},
        {"x-tocsin-token": "x"},
    ],
)
async def test_wrong_credential_is_401_without_detail_and_audited(
    edge: httpx.AsyncClient, rt: Runtime, headers: dict[str, str]
) -> None:
    problem = is_problem(
        await edge.post("/v1/webhooks/edge", content=alert(), headers=headers), 401
    )
    assert "detail" not in problem
    (refused,) = await events(rt, EventKind.ALERT_REFUSED)
    assert refused.actor == "source:edge"
    assert await kept(rt) == (0, 0)


async def test_api_key_does_not_authenticate_a_source(
    edge: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    is_problem(await admin.post("/v1/webhooks/edge", content=alert()), 401)


async def test_body_is_not_parsed_before_authentication(
    edge: httpx.AsyncClient,
) -> None:
    is_problem(await edge.post("/v1/webhooks/edge", content=b"[" * 5000), 401)


async def test_replay_is_refused_and_a_retry_signed_again_is_a_duplicate(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient, rt: Runtime
) -> None:
    secret = (await add_edge(admin, scheme="standard_webhooks", secret=None))["secret"]
    first, other = alert(), alert("203.0.113.9")
    headers, anew = signed(secret, first, at=time.time()), signed(secret, first, at=time.time() + 1)
    assert (
        await stranger.post("/v1/webhooks/edge", content=first, headers=headers)
    ).status_code == 202
    is_problem(await stranger.post("/v1/webhooks/edge", content=first, headers=headers), 401)
    again = await stranger.post("/v1/webhooks/edge", content=first, headers=anew)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    is_problem(
        await stranger.post("/v1/webhooks/edge", content=other, headers=signed(secret, other)), 401
    )
    assert await kept(rt) == (1, 1)
    assert [refused.data["reason"] for refused in await events(rt, EventKind.ALERT_REFUSED)] == [
        "replayed",
        "replayed",
    ]


async def test_metrics_are_labelled_by_outcome_and_never_by_unknown_names(
    edge: httpx.AsyncClient,
) -> None:
    await edge.post("/v1/webhooks/edge", content=alert(), headers=EDGE)
    await edge.post("/v1/webhooks/edge", content=alert(), headers=EDGE)
    await edge.post("/v1/webhooks/edge", content=alert())
    await edge.post("/v1/webhooks/made-up-name", content=alert())
    text = (await edge.get("/metrics")).text
    for outcome in ("accepted", "duplicate", "refused"):
        assert f'tocsin_alerts_total{{outcome="{outcome}",source="edge"}} 1.0' in text
    assert 'tocsin_alerts_total{outcome="refused",source="unknown"} 1.0' in text
    assert "made-up-name" not in text
