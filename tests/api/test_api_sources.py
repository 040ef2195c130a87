"""Sources by API: shown, changed, tried, limited to networks; rejected deliveries are replayed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from orchestrator.intake.sources import add_source
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from tests.harness.api_calls import EDGE, add_edge, alert, is_problem
from tests.harness.databases import migrate_quickly

SIEM = {"name": "siem", "product": "generic", "mapping": {"title": "name", "dedup_key": "id"}}


async def rejected(admin: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    reply = await admin.get("/v1/sources/siem/rejected", params=query)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["items"]
    return found


async def test_rejected_delivery_is_listed_shown_and_replayed_after_a_fix(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await add_edge(admin, **SIEM)
    body = b'{"id": 1, "label": "T"}'
    is_problem(await stranger.post("/v1/webhooks/siem", content=body, headers=EDGE), 422)
    [kept] = await rejected(admin)
    path = f"/v1/sources/siem/rejected/{kept['id']}"
    assert (await admin.get(path)).json() == kept
    raw = await admin.get(f"{path}/body")
    assert (raw.content, raw.headers["content-type"]) == (body, "application/octet-stream")
    assert (await admin.post(f"{path}/replay")).json()["state"] == "kept"
    changed = await admin.patch("/v1/sources/siem", json={"mapping": {"title": "label"}})
    assert (changed.status_code, changed.json()["correlate_by"]) == (200, "host")
    all_ = (await admin.post("/v1/sources/siem/rejected/replay", json={})).json()
    assert [each["state"] for each in all_["replays"]] == ["replayed"]
    assert (await rejected(admin), len(await rejected(admin, state="replayed"))) == ([], 1)
    is_problem(await admin.post(f"{path}/replay"), 409)
    is_problem(await admin.get("/v1/sources/siem/rejected/rej_0"), 404)
    is_problem(await admin.get("/v1/sources/none/rejected"), 404)
    assert len((await admin.get("/v1/alerts")).json()["items"]) == 1


async def test_body_over_the_limit_is_recorded_for_a_proven_source_only(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await add_edge(admin, **SIEM)
    await add_edge(admin, name="signed", scheme="standard_webhooks", secret=None)
    large = b"x" * 30_000
    is_problem(await stranger.post("/v1/webhooks/siem", content=large, headers=EDGE), 413)
    is_problem(await stranger.post("/v1/webhooks/siem", content=large), 401)
    is_problem(await stranger.post("/v1/webhooks/signed", content=large), 413)
    assert [(each["reason"], each["seen"]) for each in await rejected(admin)] == [("too_large", 1)]
    counts = [
        (await admin.get(f"/v1/sources/{name}")).json()["activity"] for name in ("siem", "signed")
    ]
    assert [(each["unreadable"], each["refused"]) for each in counts] == [(1, 1), (0, 1)]


async def test_compressed_body_and_lines_are_accepted_and_other_types_answered_with_415(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    path = "/v1/webhooks/edge"
    zipped = {**EDGE, "content-encoding": "gzip"}
    reply = await stranger.post(path, content=gzip.compress(alert()), headers=zipped)
    assert reply.status_code == 202
    lines = {**EDGE, "content-type": "application/x-ndjson"}
    both = alert("203.0.113.1").replace(b"1234567890", b"1") + b"\n" + alert("203.0.113.2")
    reply = await stranger.post(path, content=both, headers=lines)
    assert (reply.status_code, len(reply.json()["alerts"])) == (202, 2)
    xml = {**EDGE, "content-type": "application/xml"}
    said = is_problem(await stranger.post(path, content=b"<a/>", headers=xml), 415)
    assert "application/json" in said["detail"]
    brotli = {**EDGE, "content-encoding": "br"}
    said = is_problem(await stranger.post(path, content=b"x", headers=brotli), 415)
    assert "gzip, deflate" in said["detail"]


async def test_unreadable_items_and_bodies_have_an_outcome_of_their_own(
    admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await add_edge(admin)
    path = "/v1/webhooks/edge"
    bad = {"event_type": "alert"}
    body = json.dumps([json.loads(alert()), json.loads(alert()) | {"flow_id": 2}, bad, bad])
    reply = await stranger.post(path, content=body, headers=EDGE)
    assert (reply.status_code, [item["index"] for item in reply.json()["rejected"]]) == (
        202,
        [2, 3],
    )
    await stranger.post(path, content=b"x", headers=EDGE)
    await stranger.post(path, content=b"x")
    text = (await admin.get("/metrics")).text
    for outcome, number in (("accepted", 2.0), ("unreadable", 3.0), ("refused", 1.0)):
        assert f'tocsin_alerts_total{{outcome="{outcome}",source="edge"}} {number}' in text


async def test_payload_is_tried_without_storing_it(admin: httpx.AsyncClient) -> None:
    await add_edge(admin, **SIEM)
    payload = json.dumps([{"id": 1, "name": "T", "peer": "198.51.100.7 (scanner)"}, {"id": 2}])
    mapping = {"title": "name", "dedup_key": "id", "remote_address": "peer"}
    tried = await admin.post("/v1/sources/siem/test", json={"body": payload, "mapping": mapping})
    found = tried.json()
    [one] = found["alerts"]
    assert (found["total"], found["ignored"], found["rejected"][0]["index"]) == (1, None, 1)
    assert (one["alert"]["title"], one["matched"], one["duplicate"]) == ("T", [], False)
    assert {"host", "user", "remote"} <= set(one["missing"])
    assert one["incomplete"] == [
        {
            "field": "$[0][peer]",
            "reason": "unreadable",
            "message": "'198.51.100.7 (scanner)' is not an address",
        }
    ]
    assert (await admin.get("/v1/alerts")).json()["items"] == []
    assert await rejected(admin) == []
    is_problem(await admin.post("/v1/sources/siem/test", json={"body": "{"}), 400)
    is_problem(await admin.post("/v1/sources/siem/test", json={"body": "{}", "mapping": {}}), 422)


async def test_source_is_shown_and_changed(admin: httpx.AsyncClient) -> None:
    await add_edge(admin, senders=["192.0.2.7/24"])
    shown = (await admin.get("/v1/sources/edge")).json()
    assert shown["senders"] == ["192.0.2.0/24"]
    assert (shown["activity"]["last_seen_at"], shown["activity"]["accepted"]) == (None, 0)
    changed = await admin.patch("/v1/sources/edge", json={"mode": "dry_run", "senders": []})
    assert (changed.json()["mode"], changed.json()["senders"]) == ("dry_run", [])
    assert "secret" not in changed.json()
    is_problem(await admin.patch("/v1/sources/edge", json={"senders": ["x"]}), 422)
    is_problem(await admin.patch("/v1/sources/none", json={}), 404)
    is_problem(await admin.get("/v1/sources/none"), 404)


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("192.0.2.9", None, 202),
        ("198.51.100.1", None, 401),
        ("198.51.100.1", "192.0.2.9", 401),  # not a proxy that is trusted
        ("10.0.0.1", "192.0.2.9", 202),
        ("10.0.0.1", "192.0.2.9, 203.0.113.5", 401),  # the left part is the client's own claim
        ("10.0.0.1", "203.0.113.5, 192.0.2.9, 10.0.0.2", 202),
        ("10.0.0.1", None, 401),
    ],
)
async def test_sender_is_the_connection_or_what_a_trusted_proxy_names(
    tmp_path: Path, peer: str, forwarded: str | None, status: int
) -> None:
    rt: Runtime = open_runtime(
        Settings.load(data_dir=tmp_path / "data", trusted_proxies=("10.0.0.0/8",))
    )
    await migrate_quickly(rt)
    transport = httpx.ASGITransport(create_app(rt, lambda: None), client=(peer, 1234))
    await add_source(
        rt,
        "edge",
        "suricata",
        "bearer",
        SecretStr(EDGE["authorization"].removeprefix("Bearer ")),
        senders=["192.0.2.0/24"],
        actor="person:ann",
    )
    headers = EDGE | ({"x-forwarded-for": forwarded} if forwarded else {})
    async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
        reply = await client.post("/v1/webhooks/edge", content=alert(), headers=headers)
        wrong = await client.post("/v1/webhooks/edge", content=alert())
    await rt.close()
    assert reply.status_code == status
    if status == 401:
        assert {**reply.json(), "request_id": ""} == {**wrong.json(), "request_id": ""}
