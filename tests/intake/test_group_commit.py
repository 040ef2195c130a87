"""Alerts that arrive together share a transaction, and large bodies are committed in pieces."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind
from orchestrator.intake.accept import accept
from orchestrator.intake.answers import Accepted
from orchestrator.intake.arrival.bodies import MAX_ALERTS
from orchestrator.intake.sources import add_source, get_source
from orchestrator.registry.publish import publish_playbook
from orchestrator.runtime import Runtime
from orchestrator.store.group_commit import GroupCommit
from orchestrator.store.tables import AlertRow, AuditEventRow, IncidentRow, RunRow
from tests.harness.databases import START, opened

TOKEN = "a-token-of-32-characters-0123456"
WEBHOOK_KEY = base64.b64encode(bytes(range(32))).decode()
PLAYBOOK = """
playbook: look
version: 1
title: Look
owner: soc
trigger: {when: alert.class == 'scan', once_per: "${{ alert.remote.address }}"}
steps:
  - {id: look, use: reputation.lookup_address, with: {address: "${{ alert.remote.address }}"}}
"""


@pytest.fixture
async def rt(tmp_path: Path, database: str | None) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, database) as [runtime]:
        for name in ("edge", "other"):
            await add_source(
                runtime,
                name,
                "crowdsec",
                "bearer",
                SecretStr(TOKEN),
                correlate_by="remote",
                actor="person:ann",
            )
        await add_source(
            runtime,
            "signed",
            "crowdsec",
            "standard_webhooks",
            SecretStr(f"whsec_{WEBHOOK_KEY}"),
            correlate_by="remote",
            actor="person:ann",
        )
        await publish_playbook(runtime, PLAYBOOK, "look.yaml", actor="person:ann")
        yield runtime


def item(number: int, **changes: Any) -> dict[str, Any]:
    address = f"198.18.{number >> 8}.{number & 255}"
    return {
        "uuid": f"alert-{number}",
        "machine_id": "edge-1",
        "scenario": "crowdsecurity/http-probing",
        "message": f"Ip {address} probes",
        "start_at": "2026-11-24T03:20:00Z",
        "stop_at": "2026-11-24T03:20:12Z",
        "source": {"scope": "Ip", "value": address, "ip": address},
        **changes,
    }


async def send(rt: Runtime, *items: dict[str, Any], source: str = "edge") -> Accepted:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    outcome = await accept(rt, source, headers, json.dumps(items).encode())
    assert isinstance(outcome, Accepted)
    return outcome


async def send_signed(rt: Runtime, *items: dict[str, Any], message: str = "msg_1") -> Accepted:
    body, sent = json.dumps(items).encode(), str(int(START.timestamp()))
    signed = hmac.digest(
        base64.b64decode(WEBHOOK_KEY), f"{message}.{sent}.".encode() + body, "sha256"
    )
    headers = {
        "webhook-id": message,
        "webhook-timestamp": sent,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    outcome = await accept(rt, "signed", raw, body)
    assert isinstance(outcome, Accepted)
    return outcome


async def count(rt: Runtime, table: type[Any]) -> int:
    async with rt.store.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def refuse_title(rt: Runtime, title: str) -> None:
    """Let the database refuse alerts with a title."""
    statements = (
        [
            (
                f"CREATE TRIGGER refuse BEFORE INSERT ON alerts WHEN NEW.title LIKE '%{title}%' "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )
        ]
        if rt.store.sqlite
        else [
            (
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'refused'; END $$"
            ),
            (
                "CREATE TRIGGER refuse BEFORE INSERT ON alerts FOR EACH ROW "
                f"WHEN (NEW.title LIKE '%{title}%') EXECUTE FUNCTION refuse()"
            ),
        ]
    )
    async with rt.store.write() as session:
        for statement in statements:
            await session.execute(text(statement))


async def accept_title(rt: Runtime) -> None:
    """Let the database accept what it refused."""
    async with rt.store.write() as session:
        on = "" if rt.store.sqlite else " ON alerts"
        await session.execute(text(f"DROP TRIGGER refuse{on}"))


async def test_alerts_that_arrive_together_are_all_committed(rt: Runtime) -> None:
    answers = await asyncio.gather(*(send(rt, item(number)) for number in range(30)))
    assert len({answer.alert_id for answer in answers}) == 30
    assert all(len(answer.run_ids) == 1 and not answer.duplicate for answer in answers)
    assert [await count(rt, table) for table in (AlertRow, IncidentRow, RunRow)] == [30, 30, 30]
    assert (await get_source(rt, "edge")).activity.accepted == 30


async def test_copies_that_arrive_together_are_one_alert_with_one_run(rt: Runtime) -> None:
    answers = await asyncio.gather(*(send(rt, item(1)) for _ in range(30)))
    assert len({answer.alert_id for answer in answers}) == 1
    assert [answer.duplicate for answer in answers].count(False) == 1
    assert [await count(rt, table) for table in (AlertRow, IncidentRow, RunRow)] == [1, 1, 1]
    async with rt.store.read() as session:
        assert await session.scalar(select(col(AlertRow.seen))) == 30
    activity = (await get_source(rt, "edge")).activity
    assert (activity.accepted, activity.duplicates) == (1, 29)


async def test_alerts_of_one_address_that_arrive_together_join_one_incident(rt: Runtime) -> None:
    about = {"scope": "Ip", "value": "198.18.9.9", "ip": "198.18.9.9"}
    answers = await asyncio.gather(
        *(send(rt, item(number, source=about)) for number in range(10)),
        *(send(rt, item(number, source=about), source="other") for number in range(10)),
    )
    assert len({answer.incident_id for answer in answers}) == 1
    assert sum(len(answer.run_ids) for answer in answers) == 1
    assert sum(len(answer.covered_by) for answer in answers) == 19
    async with rt.store.read() as session:
        assert await session.scalar(select(col(IncidentRow.alerts))) == 20


async def test_an_alert_that_fails_does_not_fail_those_that_arrive_with_it(rt: Runtime) -> None:
    await refuse_title(rt, "poison")
    sent = [send(rt, item(number)) for number in range(10)]
    sent.insert(5, send(rt, item(99, message="poison")))
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert isinstance(outcomes.pop(5), DBAPIError)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [await count(rt, table) for table in (AlertRow, IncidentRow, RunRow)] == [10, 10, 10]


async def test_large_body_is_committed_in_pieces_with_other_sources_in_between(
    rt: Runtime,
) -> None:
    many = [item(number) for number in range(3 * MAX_ALERTS + 7)]
    large = asyncio.create_task(send(rt, *many))
    while not await count(rt, AlertRow):
        await asyncio.sleep(0)
    single = await send(rt, item(9999), source="other")
    answer = await large
    assert [len(answer.alerts), len(answer.run_ids)] == [len(many), len(many)]
    assert await count(rt, AlertRow) == len(many) + 1
    async with rt.store.read() as session:
        numbers = select(col(AuditEventRow.number)).where(
            col(AuditEventRow.kind) == EventKind.ALERT_ACCEPTED
        )
        of_single = await session.scalar(
            numbers.where(col(AuditEventRow.subject) == single.alert_id)
        )
        of_last = await session.scalar(
            numbers.where(col(AuditEventRow.subject) == answer.alerts[-1].alert_id)
        )
        assert of_single is not None
        assert of_last is not None
        assert of_single < of_last
        bodies = (await session.execute(select(col(AlertRow.raw)))).scalars()
        assert sum(bool(body) for body in bodies) == 2  # each body once
    assert (await get_source(rt, "edge")).activity.accepted == 1


async def test_body_that_is_sent_again_after_a_part_of_it_was_committed_is_completed(
    rt: Runtime,
) -> None:
    many = [item(number) for number in range(2 * MAX_ALERTS)]
    many[-1]["message"] = "poison"
    await refuse_title(rt, "poison")
    with pytest.raises(DBAPIError):
        await send_signed(rt, *many)
    assert await count(rt, AlertRow) == MAX_ALERTS
    await accept_title(rt)
    again = await send_signed(rt, *many)  # the same signed bytes, as there was no answer
    assert [alert.duplicate for alert in again.alerts] == MAX_ALERTS * [True] + MAX_ALERTS * [False]
    assert [await count(rt, table) for table in (AlertRow, RunRow)] == [len(many), len(many)]
    async with rt.store.read() as session:
        found = await session.execute(select(col(AlertRow.raw), col(AlertRow.raw_sha256)))
        stored = [(raw, sha256) for raw, sha256 in found if raw]
    assert {hashlib.sha256(raw).hexdigest() for raw, _ in stored} == {sha for _, sha in stored}


async def test_work_that_arrives_during_a_commit_forms_the_next_group() -> None:
    groups: list[list[int]] = []
    first = asyncio.Event()

    async def commit(works: Sequence[int]) -> list[int]:
        groups.append(list(works))
        await first.wait()
        return [work * 10 for work in works]

    queue: GroupCommit[int, int] = GroupCommit(most=3)
    waiting = [asyncio.create_task(queue.run(0, 1, commit))]
    while not groups:
        await asyncio.sleep(0)
    waiting += [asyncio.create_task(queue.run(number, 1, commit)) for number in range(1, 5)]
    waiting.append(asyncio.create_task(queue.run(5, 7, commit)))
    await asyncio.sleep(0)
    first.set()
    assert await asyncio.gather(*waiting) == [0, 10, 20, 30, 40, 50]
    assert groups == [[0], [1, 2, 3], [4], [5]]
