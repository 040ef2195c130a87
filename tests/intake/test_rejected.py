"""What an authentic source sends and Tocsin cannot read is kept, bounded, listed and replayed."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from orchestrator.domain.alert import RejectionReason, RejectionState
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.rejected_sources import open_tasks
from orchestrator.incidents.tasks import close_task
from orchestrator.intake.accept import accept
from orchestrator.intake.answers import Accepted, Ignored
from orchestrator.intake.authenticate import NotAuthentic
from orchestrator.intake.keep_rejected import forget_old
from orchestrator.intake.rejected import queries
from orchestrator.intake.rejected.replay import MAX_REPLAYS, replay, replay_all
from orchestrator.intake.sources import add_source, change_source, get_source
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.tables import AlertRow, AuditEventRow, RejectedRow, SourceDayRow, TaskRow
from tests.harness.databases import START, migrate_quickly

TOKEN = "a-token-of-32-characters-0123456"
MAPPING = {"dedup_key": "id", "title": "name", "remote_address": "peer"}
ALERT = {"id": "z1", "name": "one", "peer": "198.51.100.7"}


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings.load(
        data_dir=tmp_path / "data",
        max_body_bytes=4096,
        rejected_keep_count=5,
        rejected_keep_bytes=2048,
        rejected_keep_days=30,
    )
    runtime = open_runtime(settings, clock=lambda: START)
    await migrate_quickly(runtime)
    for name, product, mapping in (
        ("siem", "generic", MAPPING),
        ("alerts", "alertmanager", None),
        ("ids", "suricata", None),
    ):
        await add_source(
            runtime, name, product, "bearer", SecretStr(TOKEN), mapping=mapping, actor="person:ann"
        )
    yield runtime
    await runtime.close()


async def send(
    rt: Runtime, body: object, source: str = "siem", sender: str | None = None, **headers: str
) -> Accepted | Ignored:
    given = {"authorization": f"Bearer {TOKEN}"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await accept(
        rt, source, [(name.encode(), value.encode()) for name, value in given.items()], raw, sender
    )


async def refused(rt: Runtime, body: object, source: str = "siem", **headers: str) -> str:
    with pytest.raises(Invalid) as caught:
        await send(rt, body, source, **headers)
    return str(caught.value)


async def rows(rt: Runtime, table: type[Any]) -> list[Any]:
    async with rt.store.read() as session:
        return list(await session.scalars(select(table)))


async def trail(rt: Runtime, kind: EventKind) -> list[dict[str, Any]]:
    return [row.data for row in await rows(rt, AuditEventRow) if row.kind == kind.value]


def notification(*names: str | None) -> dict[str, Any]:
    """Return a notification of Alertmanager; None is an alert without a name."""
    return {
        "version": "4",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": name} if name else {"severity": "critical"},
                "startsAt": "2026-03-04T05:00:00Z",
                "fingerprint": f"f{number}",
            }
            for number, name in enumerate(names)
        ],
    }


async def test_unreadable_item_of_a_batch_is_answered_kept_and_in_the_trail(rt: Runtime) -> None:
    body = json.dumps(notification("E1", None, "E3")).encode()
    done = await send(rt, body, "alerts")
    assert isinstance(done, Accepted)
    assert len(done.alerts) == 2
    [item] = done.rejected
    assert (item.index, "alertname is missing" in item.reason) == (1, True)
    [kept] = (await queries.list_rejected(rt, "alerts")).items
    assert (kept.reason, kept.status, kept.items) == (RejectionReason.ITEMS, 202, [item])
    assert await queries.get_body(rt, "alerts", kept.id) == body
    [said] = await trail(rt, EventKind.ALERT_REFUSED)
    assert (said["reason"], said["rejected_id"]) == ("items", kept.id)
    assert said["items"] == [item.model_dump()]


@pytest.mark.parametrize(
    ("body", "headers", "reason", "status"),
    [
        (b"not json", {}, RejectionReason.MALFORMED, 400),
        (b'{"a": 1, "a": 2}', {}, RejectionReason.MALFORMED, 422),
        (b'{"foo": "important"}', {}, RejectionReason.UNREADABLE, 422),
        (b"<a/>", {"content_type": "application/xml"}, RejectionReason.UNSUPPORTED, 415),
        (b"x", {"content_encoding": "br"}, RejectionReason.UNSUPPORTED, 415),
        (b"x", {"content_encoding": "gzip, gzip"}, RejectionReason.UNSUPPORTED, 415),
        (b"x", {"content_encoding": "gzip"}, RejectionReason.MALFORMED, 400),
    ],
)
async def test_refused_body_is_kept_as_it_was_sent_and_in_the_trail(
    rt: Runtime, body: bytes, headers: dict[str, str], reason: RejectionReason, status: int
) -> None:
    message = await refused(rt, body, **headers)
    [kept] = (await queries.list_rejected(rt, "siem")).items
    assert (kept.reason, kept.status, kept.detail) == (reason, status, message)
    assert await queries.get_body(rt, "siem", kept.id) == body
    assert [said["reason"] for said in await trail(rt, EventKind.ALERT_REFUSED)] == [reason.value]
    assert await rows(rt, AlertRow) == []


async def test_kept_body_is_sealed_in_the_database(rt: Runtime) -> None:
    await refused(rt, b'{"password": "hunter2-hunter2"}')
    [row] = await rows(rt, RejectedRow)
    assert b"hunter2" not in row.body


async def test_decompressed_body_over_the_limit_is_refused_and_only_its_size_is_kept(
    rt: Runtime,
) -> None:
    bomb = gzip.compress(b'{"id": "' + b"0" * 1_000_000 + b'"}')
    assert "4096" in await refused(rt, bomb, content_encoding="gzip")
    [kept] = (await queries.list_rejected(rt, "siem")).items
    assert (kept.reason, kept.bytes) == (RejectionReason.TOO_LARGE, len(bomb))
    with pytest.raises(NotFound, match="too large"):
        await queries.get_body(rt, "siem", kept.id)
    with pytest.raises(Conflict, match="send it again"):
        await replay(rt, "siem", kept.id, actor="person:ann")


async def test_request_without_the_secret_keeps_no_body(rt: Runtime) -> None:
    for number in range(3):
        with pytest.raises(NotAuthentic):
            await accept(rt, "siem", [(b"authorization", b"Bearer wrong")], b"x%d" % number)
    assert await rows(rt, RejectedRow) == []
    [day] = await rows(rt, SourceDayRow)
    assert (day.refused, day.unreadable) == (3, 0)


async def test_same_body_is_kept_once_and_counted(rt: Runtime) -> None:
    for _ in range(3):
        await refused(rt, b"not json")
    [kept] = (await queries.list_rejected(rt, "siem")).items
    assert kept.seen == 3


async def test_number_and_size_of_kept_deliveries_are_bounded_by_source(rt: Runtime) -> None:
    await refused(rt, b"other source", "ids")
    for number in range(8):
        await refused(rt, b"x%d" % number)
    assert len((await queries.list_rejected(rt, "siem")).items) == 5
    await refused(rt, b"y" * 1500)
    await refused(rt, b"z" * 1500)
    [kept] = (await queries.list_rejected(rt, "siem")).items
    assert await queries.get_body(rt, "siem", kept.id) == b"z" * 1500
    assert len((await queries.list_rejected(rt, "ids")).items) == 1


async def test_old_deliveries_and_counts_are_forgotten(rt: Runtime) -> None:
    await refused(rt, b"old")
    async with rt.store.write() as session:
        await session.execute(update(RejectedRow).values(last_seen_at=START - timedelta(days=31)))
    await refused(rt, b"new")
    await forget_old(rt)
    [kept] = (await queries.list_rejected(rt, "siem")).items
    assert await queries.get_body(rt, "siem", kept.id) == b"new"


async def test_replay_after_a_fixed_mapping_commits_the_alert_once(rt: Runtime) -> None:
    await refused(rt, {"id": "z1", "label": "one"})
    [kept] = (await queries.list_rejected(rt, "siem")).items
    still = await replay(rt, "siem", kept.id, actor="person:ann")
    assert (still.state, still.accepted) == (RejectionState.KEPT, None)
    await change_source(rt, "siem", mapping={**MAPPING, "title": "label"}, actor="person:ann")
    done = await replay(rt, "siem", kept.id, actor="person:ann")
    assert done.state is RejectionState.REPLAYED
    assert done.accepted is not None
    assert not done.accepted.duplicate
    [row], [alert] = await rows(rt, RejectedRow), await rows(rt, AlertRow)
    assert (row.body, alert.title) == (None, "one")
    assert (await queries.list_rejected(rt, "siem")).items == []
    with pytest.raises(Conflict, match="replayed already"):
        await replay(rt, "siem", kept.id, actor="person:ann")
    again = await send(rt, {"id": "z1", "label": "one"})
    assert isinstance(again, Accepted)
    assert again.duplicate
    assert [said["new"] for said in await trail(rt, EventKind.ALERT_REPLAYED)] == [0, 1]


async def test_replay_of_a_batch_skips_what_is_stored(rt: Runtime) -> None:
    await send(rt, notification("E1", None), "alerts")
    [kept] = (await queries.list_rejected(rt, "alerts")).items
    done = await replay(rt, "alerts", kept.id, actor="person:ann")
    assert done.accepted is not None
    assert (done.state, done.accepted.duplicate) == (RejectionState.KEPT, True)
    assert len(await rows(rt, AlertRow)) == 1


async def test_all_are_replayed_in_the_order_in_which_they_came(rt: Runtime) -> None:
    for number in range(3):
        await refused(rt, {"id": number, "label": f"n{number}"})
    await change_source(rt, "siem", mapping={**MAPPING, "title": "label"}, actor="person:ann")
    done = await replay_all(rt, "siem", actor="person:ann")
    assert (len(done.replays) <= MAX_REPLAYS, done.next) == (True, None)
    assert [alert.title for alert in await rows(rt, AlertRow)] == ["n0", "n1", "n2"]
    assert (await replay_all(rt, "siem", actor="person:ann")).replays == []


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:])),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),
        ("identity", lambda body: body),
    ],
)
async def test_compressed_body_is_read(rt: Runtime, encoding: str, encode: Any) -> None:
    done = await send(rt, encode(json.dumps(ALERT).encode()), content_encoding=encoding)
    assert isinstance(done, Accepted)
    [alert] = await rows(rt, AlertRow)
    assert json.loads(alert.raw) == ALERT


async def test_cut_compressed_body_is_refused(rt: Runtime) -> None:
    cut = gzip.compress(json.dumps(ALERT).encode())[:-4]
    assert "ends too early" in await refused(rt, cut, content_encoding="gzip")
    assert "Content-Encoding: gzip" in await refused(rt, cut)


LINES = b'{"id": "z2", "name": "one"}\n\n{"id": "z3", "name": "two"}\r\n'


@pytest.mark.parametrize(
    "kind", ["application/x-ndjson", "application/jsonl; charset=utf-8", "application/json", ""]
)
async def test_lines_of_json_are_alerts(rt: Runtime, kind: str) -> None:
    done = await send(rt, LINES, content_type=kind)
    assert isinstance(done, Accepted)
    assert [alert.dedup_key for alert in await rows(rt, AlertRow)] == ["z2", "z3"]


async def test_bad_line_is_named_and_costs_no_other(rt: Runtime) -> None:
    body = LINES + b'{"id": \n{"id": "z4"}\n'
    done = await send(rt, body, content_type="application/x-ndjson")
    assert isinstance(done, Accepted)
    assert len(done.alerts) == 2
    assert [item.index for item in done.rejected] == [2, 3]
    assert "not JSON" in done.rejected[0].reason


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/cloudevents+json", "text/plain; charset=UTF-8", "",
     "application/octet-stream", "application/x-www-form-urlencoded"],
)  # fmt: skip
async def test_content_types_that_senders_of_json_use_are_read(rt: Runtime, kind: str) -> None:
    assert isinstance(await send(rt, ALERT, content_type=kind), Accepted)


async def test_other_content_type_is_answered_with_those_that_are_read(rt: Runtime) -> None:
    for kind in ("application/xml", "application/x-www-form-urlencoded"):
        said = await refused(rt, b"payload=x", content_type=kind)
        assert "application/json, application/x-ndjson" in said


@pytest.mark.parametrize(
    ("sender", "allowed"),
    [
        ("192.0.2.9", True),
        ("::ffff:192.0.2.9", True),
        ("2001:db8::5", True),
        ("192.0.3.1", False),
        ("not an address", False),
        (None, False),
    ],
)
async def test_source_is_limited_to_its_networks(
    rt: Runtime, sender: str | None, allowed: bool
) -> None:
    networks = ["192.0.2.0/24", "2001:db8::/32"]
    await change_source(rt, "siem", senders=networks, actor="person:ann")
    if allowed:
        assert isinstance(await send(rt, ALERT, sender=sender), Accepted)
        return
    with pytest.raises(NotAuthentic, match="not authenticated"):
        await send(rt, ALERT, sender=sender)
    [said] = await trail(rt, EventKind.ALERT_REFUSED)
    assert said["reason"] == "sender_not_allowed"


async def test_invalid_network_of_senders_is_refused(rt: Runtime) -> None:
    with pytest.raises(Invalid, match=r"192\.0\.2\.0/24"):
        await change_source(rt, "siem", senders=["192.0.2"], actor="person:ann")


async def test_source_shows_what_it_sent(rt: Runtime) -> None:
    await send(rt, ALERT)
    await send(rt, ALERT)
    await refused(rt, b"x")
    await send(rt, [ALERT | {"id": "z9"}, {"id": "z8"}])
    found = (await get_source(rt, "siem")).activity
    assert (found.accepted, found.duplicates, found.unreadable, found.refused) == (2, 1, 2, 0)
    assert (found.rejected_kept, found.last_seen_at) == (2, START)


async def test_source_that_is_often_unreadable_has_one_task(rt: Runtime) -> None:
    for number in range(18):
        await send(rt, ALERT | {"id": number})
    await refused(rt, b"x")
    assert await open_tasks(rt) == 0  # of 19 deliveries
    await refused(rt, b"y")
    assert [await open_tasks(rt), await open_tasks(rt)] == [1, 0]
    [task] = await rows(rt, TaskRow)
    assert (task.kind, task.subject) == (TaskKind.REJECTED_DELIVERIES, "siem")
    assert "2 of 20" in task.summary
    await close_task(rt, task.id, comment="the mapping is fixed", actor="person:ann")
    assert await open_tasks(rt) == 0


async def test_source_with_few_unreadable_deliveries_has_no_task(rt: Runtime) -> None:
    for number in range(19):
        await send(rt, ALERT | {"id": number})
    await refused(rt, b"x")
    assert await open_tasks(rt) == 0  # one of 20 is not more than 5 percent
