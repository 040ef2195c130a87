"""An accepted alert is committed once, with its incident, its runs and its audit events."""

from __future__ import annotations

import asyncio
import base64
import copy
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlmodel import col

from orchestrator.assets.inventory import import_assets
from orchestrator.domain.audit_event import EventKind
from orchestrator.intake.accept import accept
from orchestrator.intake.answers import Accepted, Ignored
from orchestrator.intake.authenticate import NotAuthentic
from orchestrator.intake.body import BodyRefused
from orchestrator.intake.errors import Unparseable
from orchestrator.intake.sources import add_source
from orchestrator.registry.publish import publish_playbook, retire_playbook
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts
from orchestrator.store.tables import (
    AlertRow,
    AuditEventRow,
    IncidentRow,
    ReplayRow,
    RunKeyRow,
    RunRow,
    SourceRow,
)
from tests.harness.databases import START, edit_rows, opened
from tests.harness.intake_samples import EVE

TOKEN = "a-token-of-32-characters-0123456"
WEBHOOK_KEY = base64.b64encode(bytes(range(32))).decode()
PLAYBOOK = """
playbook: block-beacon
version: {version}
title: Block
owner: soc
trigger:
  when: {when}
  once_per: {once_per}
  within: {within}
limits: {limits}
steps:
  - id: block
    use: firewall.block_address
    with: {{address: "${{{{ alert.remote.address }}}}"}}
"""


def playbook(**given: str | int) -> str:
    written = {
        "version": 1,
        "when": "alert.class == 'c2_beacon'",
        "once_per": "${{ alert.remote.address }}",
        "within": "4h",
        "limits": "{}",
    }
    return PLAYBOOK.format(**{**written, **given})


def beacon(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a Suricata alert; another number is another alert of the same host and address."""
    made = copy.deepcopy(EVE)
    made["flow_id"] += number
    return {**made, **changes}


def of_host(number: int) -> dict[str, Any]:
    """Return the fields of an alert that name a local host."""
    address = f"10.4.2.{number}"
    return {"src_ip": address, "flow": {**EVE["flow"], "src_ip": address}}


@pytest.fixture
async def processes(tmp_path: Path, database: str | None) -> AsyncIterator[list[Runtime]]:
    async with opened(tmp_path, database, processes=2) as runtimes:
        await add_source(
            runtimes[0], "ids", "suricata", "bearer", SecretStr(TOKEN), actor="person:ann"
        )
        await add_source(
            runtimes[0],
            "signed",
            "suricata",
            "standard_webhooks",
            SecretStr(f"whsec_{WEBHOOK_KEY}"),
            actor="person:ann",
        )
        yield runtimes


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        await add_source(runtime, "ids", "suricata", "bearer", SecretStr(TOKEN), actor="person:ann")
        yield runtime


async def submit(
    rt: Runtime, payload: object, source: str = "ids", token: str = TOKEN
) -> Accepted | Ignored:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return await accept(rt, source, [(b"authorization", f"Bearer {token}".encode())], body)


async def send(rt: Runtime, payload: object, source: str = "ids", token: str = TOKEN) -> Accepted:
    outcome = await submit(rt, payload, source, token)
    assert isinstance(outcome, Accepted)
    return outcome


async def send_signed(
    rt: Runtime, payload: object, message_id: str, at: datetime = START
) -> Accepted:
    body, sent = json.dumps(payload).encode(), str(int(at.timestamp()))
    signed = base64.b64encode(
        hmac.digest(
            base64.b64decode(WEBHOOK_KEY), f"{message_id}.{sent}.".encode() + body, "sha256"
        )
    ).decode()
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": sent,
        "webhook-signature": f"v1,{signed}",
    }
    return await accept(
        rt, "signed", [(name.encode(), value.encode()) for name, value in headers.items()], body
    )


async def count(rt: Runtime, table: type[Any]) -> int:
    async with rt.store.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def rows(rt: Runtime, table: type[Any]) -> list[Any]:
    async with rt.store.read() as session:
        return list(await session.scalars(select(table)))


async def trail(rt: Runtime, kind: EventKind) -> list[Mapping[str, Any]]:
    return [row.data for row in await rows(rt, AuditEventRow) if row.kind == kind.value]


async def test_alert_is_stored_byte_for_byte_with_its_incident_and_run(rt: Runtime) -> None:
    await publish_playbook(rt, playbook(), "p.yaml", actor="person:ann")
    body = json.dumps(beacon(), indent=3).encode()
    done = await send(rt, body)
    [alert], [incident], [run] = (
        await rows(rt, AlertRow),
        await rows(rt, IncidentRow),
        await rows(rt, RunRow),
    )
    assert (alert.raw, alert.id, alert.incident_id) == (body, done.alerts[0].alert_id, incident.id)
    assert (run.id, run.alert_id, run.incident_id, run.status, run.dispatched) == (
        done.run_ids[0],
        alert.id,
        incident.id,
        "running",
        False,
    )
    assert (run.once_key, run.started_by, done.duplicate) == ("198.51.100.23", "source:ids", False)
    assert await trail(rt, EventKind.RUN_CREATED) != []


async def test_duplicate_alert_has_the_same_ids_and_starts_no_run(rt: Runtime) -> None:
    await publish_playbook(rt, playbook(), "p.yaml", actor="person:ann")
    first, second = await send(rt, beacon()), await send(rt, beacon())
    assert (second.duplicate, second.run_ids) == (True, ())
    assert [each.alert_id for each in first.alerts] == [each.alert_id for each in second.alerts]
    [alert] = await rows(rt, AlertRow)
    assert (
        alert.seen,
        await count(rt, RunRow),
        len(await trail(rt, EventKind.ALERT_DUPLICATE)),
    ) == (2, 1, 1)


async def test_concurrent_duplicates_in_two_processes_have_the_same_ids(
    processes: list[Runtime],
) -> None:
    await publish_playbook(processes[0], playbook(), "p.yaml", actor="person:ann")
    answers = await asyncio.gather(*(send(processes[number % 2], beacon()) for number in range(12)))
    assert len({each.alerts[0] for each in answers if each.duplicate} | {answers[0].alerts[0]}) <= 2
    assert len({(each.alerts[0].alert_id, each.alerts[0].incident_id) for each in answers}) == 1
    assert [each.duplicate for each in answers].count(False) == 1
    assert [
        await count(processes[0], table) for table in (AlertRow, IncidentRow, RunRow, RunKeyRow)
    ] == [1, 1, 1, 1]


async def test_concurrent_related_alerts_share_an_incident_and_a_run(
    processes: list[Runtime],
) -> None:
    await publish_playbook(processes[0], playbook(), "p.yaml", actor="person:ann")
    answers = await asyncio.gather(
        *(send(processes[number % 2], beacon(number)) for number in range(10))
    )
    assert len({each.alerts[0].incident_id for each in answers}) == 1
    assert [run for each in answers for run in each.run_ids] == [
        run.id for run in await rows(processes[0], RunRow)
    ]
    [incident] = await rows(processes[0], IncidentRow)
    assert (incident.alerts, len(await trail(processes[0], EventKind.RUN_SUPPRESSED))) == (10, 9)


async def test_alert_of_another_host_or_after_the_window_opens_an_incident(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [runtime]:
        await add_source(
            runtime,
            "ids",
            "suricata",
            "bearer",
            SecretStr(TOKEN),
            correlate_within=timedelta(minutes=10),
            actor="person:ann",
        )
        first = await send(runtime, beacon())
        other = await send(runtime, beacon(1, **of_host(99)))
        async with runtime.store.write() as session:
            for incident in await session.scalars(select(IncidentRow)):
                incident.last_alert_at -= timedelta(minutes=11)
        late = await send(runtime, beacon(2))
        assert len({each.alerts[0].incident_id for each in (first, other, late)}) == 3


async def test_run_key_expires(rt: Runtime) -> None:
    await publish_playbook(rt, playbook(), "p.yaml", actor="person:ann")
    await send(rt, beacon())
    async with rt.store.write() as session:
        for key in await session.scalars(select(RunKeyRow)):
            key.at -= timedelta(hours=4, seconds=1)
    assert len((await send(rt, beacon(1))).run_ids) == 1
    assert len((await send(rt, beacon(2))).run_ids) == 0


async def test_run_over_the_limit_waits_for_approval_and_is_not_counted(
    rt: Runtime,
) -> None:
    limited = playbook(once_per="${{ alert.id }}", limits="{runs_per_hour: 2}")
    await publish_playbook(rt, limited, "p.yaml", actor="person:ann")
    done = [await send(rt, beacon(number)) for number in range(4)]
    assert [len(each.run_ids) for each in done] == [1, 1, 1, 1]
    made = {run.id: (run.status, run.over_limit, run.dispatched) for run in await rows(rt, RunRow)}
    assert [made[each.run_ids[0]] for each in done] == [("running", None, False)] * 2 + [
        ("running", 2, False)
    ] * 2
    limited_runs = [each["limit"] for each in await trail(rt, EventKind.RUN_LIMITED)]
    assert limited_runs == [2, 2]
    assert len(await trail(rt, EventKind.RUN_CREATED)) == 4
    async with rt.store.write() as session:  # an hour later, but those that wait were made just now
        for run in await session.scalars(select(RunRow).where(col(RunRow.over_limit).is_(None))):
            run.created_at -= timedelta(hours=1, seconds=1)
    late = await send(rt, beacon(9))
    assert [run.over_limit for run in await rows(rt, RunRow) if run.id in late.run_ids] == [None]


async def test_alerts_of_one_key_over_the_limit_ask_once(rt: Runtime) -> None:
    await publish_playbook(
        rt,
        playbook(once_per="${{ alert.host.address }}", limits="{runs_per_hour: 1}"),
        "p.yaml",
        actor="person:ann",
    )
    await send(rt, beacon(0, **of_host(1)))
    done = [await send(rt, beacon(number, **of_host(2))) for number in range(1, 4)]
    assert [len(each.run_ids) for each in done] == [1, 0, 0]
    assert [run.over_limit for run in await rows(rt, RunRow)].count(1) == 1


async def test_limit_holds_across_processes_and_within_one_body(
    processes: list[Runtime],
) -> None:
    limited = playbook(once_per="${{ alert.id }}", limits="{runs_per_hour: 3}")
    await publish_playbook(processes[0], limited, "p.yaml", actor="person:ann")
    answers = await asyncio.gather(
        *(
            send(
                processes[part % 2],
                [beacon(10 * part + number, **of_host(part)) for number in range(3)],
            )
            for part in range(6)
        )
    )
    assert sum(len(each.run_ids) for each in answers) == 18
    assert [run.over_limit for run in await rows(processes[0], RunRow)].count(None) == 3


async def test_only_the_newest_active_version_starts_runs(rt: Runtime) -> None:
    for version in (1, 2, 3):
        await publish_playbook(rt, playbook(version=version), "p.yaml", actor="person:ann")
    await retire_playbook(rt, "block-beacon", 3, actor="person:ann")
    await send(rt, beacon())
    assert [run.version for run in await rows(rt, RunRow)] == [2]


async def test_alert_with_an_overlong_run_key_is_not_lost(
    processes: list[Runtime],
) -> None:
    await publish_playbook(
        processes[0], playbook(once_per="${{ alert.title }}"), "p.yaml", actor="person:ann"
    )
    text = "ET MALWARE Cobalt Strike CnC Beacon " + "".join(
        chr(0x4E00 + number) for number in range(900)
    )
    done = await send(processes[0], beacon(alert={**EVE["alert"], "signature": text}))
    assert len(done.run_ids) == 1
    assert (await rows(processes[0], RunRow))[0].once_key.startswith("sha256:")


async def test_criticality_is_from_the_inventory(rt: Runtime) -> None:
    inventory = [
        {
            "type": "address",
            "value": "10.4.2.17",
            "kind": "domain_controller",
            "critical": True,
            "tags": ["tier-0"],
        },
        {"type": "host", "value": "ws-1", "kind": "workstation"},
    ]
    await import_assets(rt, inventory, actor="person:ann")
    await send(rt, beacon())
    [alert] = await rows(rt, AlertRow)
    assert (
        alert.view["host"]["kind"],
        alert.view["host"]["critical"],
        alert.view["host"]["tags"],
    ) == (
        "domain_controller",
        True,
        ["tier-0"],
    )


async def test_host_name_with_spaces_is_accepted(
    tmp_path: Path,
) -> None:
    mapping = {"title": "t", "dedup_key": "id", "host_name": "host"}
    async with opened(tmp_path, None) as [runtime]:
        await add_source(
            runtime,
            "own",
            "generic",
            "bearer",
            SecretStr(TOKEN),
            mapping=mapping,
            actor="person:ann",
        )
        done = await send(
            runtime, {"t": "Something", "id": "1", "host": "John's MacBook"}, source="own"
        )
        assert len(done.alerts) == 1


async def test_alerts_of_one_body_share_one_copy_of_it(rt: Runtime) -> None:
    body = json.dumps([beacon(number) for number in range(300)]).encode()
    done = await send(rt, body)
    kept = await rows(rt, AlertRow)
    assert (len(done.alerts), len(kept), sum(len(row.raw) for row in kept)) == (300, 300, len(body))
    async with rt.store.read() as session:
        assert {await alerts.raw_of(session, row) for row in kept} == {body}


async def test_wrong_token_leaves_only_an_audit_event(rt: Runtime) -> None:
    with pytest.raises(NotAuthentic):
        await send(rt, beacon(), token="a-wrong-token-of-32-characters-0")
    assert [data["reason"] for data in await trail(rt, EventKind.ALERT_REFUSED)] == ["mismatch"]
    assert await count(rt, AlertRow) == 0


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", BodyRefused),
        (b"\xff", BodyRefused),
        (b"[" * 100_000, BodyRefused),
        (b'{"event_type": "alert"}', Unparseable),
    ],
    ids=["not json", "not utf-8", "a depth bomb", "not suricata"],
)
async def test_unparseable_body_is_refused_and_not_stored(
    rt: Runtime, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await send(rt, body)
    assert [await count(rt, table) for table in (AlertRow, IncidentRow, RunRow)] == [0, 0, 0]


async def test_telemetry_is_ignored_and_not_stored(rt: Runtime) -> None:
    outcome = await submit(rt, {**beacon(), "event_type": "flow"})
    assert isinstance(outcome, Ignored)
    assert await count(rt, AlertRow) == 0


async def test_unknown_source_is_not_authentic(rt: Runtime) -> None:
    with pytest.raises(NotAuthentic):
        await send(rt, beacon(), source="unknown")


async def test_retry_of_a_sender_gets_the_same_answer(processes: list[Runtime]) -> None:
    first = await send_signed(processes[0], beacon(), "msg_1")
    again = await send_signed(processes[1], beacon(), "msg_1", START + timedelta(seconds=9))
    assert (again.duplicate, again.alerts[0].alert_id) == (True, first.alerts[0].alert_id)


async def test_replayed_bytes_are_refused(processes: list[Runtime]) -> None:
    await send_signed(processes[0], beacon(), "msg_1")
    with pytest.raises(NotAuthentic):
        await send_signed(processes[1], beacon(), "msg_1")
    assert await count(processes[0], AlertRow) == 1


async def test_message_id_with_another_body_is_refused_and_not_stored(
    processes: list[Runtime],
) -> None:
    await send_signed(processes[0], beacon(), "msg_1")
    with pytest.raises(NotAuthentic):
        await send_signed(processes[1], beacon(7), "msg_1")
    assert await count(processes[0], AlertRow) == 1
    assert [data["reason"] for data in await trail(processes[0], EventKind.ALERT_REFUSED)] == [
        "replayed"
    ]


async def test_message_ids_are_deleted_once_their_signature_is_too_old(
    processes: list[Runtime],
) -> None:
    async with processes[0].store.write() as session:
        session.add(
            ReplayRow(
                source="ids",
                message_id="old",
                sent=1,
                body_sha256="0",
                seen_at=START - timedelta(minutes=11),
            )
        )
    await send_signed(processes[0], beacon(), "new")
    assert [row.message_id for row in await rows(processes[0], ReplayRow)] == ["new"]


async def test_resolved_alert_joins_its_incident_and_starts_no_run(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [runtime]:
        await add_source(
            runtime, "mon", "alertmanager", "bearer", SecretStr(TOKEN), actor="person:ann"
        )
        await publish_playbook(
            runtime, playbook(when="true", once_per="${{ alert.id }}"), "p.yaml", actor="person:ann"
        )
        firing = {
            "status": "firing",
            "labels": {"alertname": "Down", "instance": "ws-1"},
            "annotations": {},
            "fingerprint": "aa",
        }
        firing |= {"startsAt": "2026-03-04T05:00:00Z", "endsAt": "2026-03-04T05:05:00Z"}
        first = await send(runtime, {"version": "4", "alerts": [firing]}, source="mon")
        over = await send(
            runtime, {"version": "4", "alerts": [{**firing, "status": "resolved"}]}, source="mon"
        )
        assert (len(first.run_ids), over.run_ids, over.duplicate) == (1, (), False)
        assert first.alerts[0].incident_id == over.alerts[0].incident_id


async def test_shadow_runs_dry_next_to_the_live_version_with_its_own_keys(
    rt: Runtime,
) -> None:
    await publish_playbook(rt, playbook(version=1), "p.yaml", actor="person:ann")
    await publish_playbook(rt, playbook(version=2), "p.yaml", actor="person:ann", stage="shadow")
    await send(rt, beacon())
    await send(rt, beacon(10))
    live, shadow = sorted(await rows(rt, RunRow), key=lambda run: run.version)
    assert (live.version, live.mode, live.shadow_of) == (1, "live", None)
    assert (shadow.version, shadow.mode, shadow.shadow_of, shadow.started_by) == (
        2,
        "dry_run",
        live.id,
        "shadow",
    )


async def test_shadow_whose_trigger_alone_matches_runs_without_a_live_run(rt: Runtime) -> None:
    await publish_playbook(rt, playbook(version=2), "p.yaml", actor="person:ann", stage="shadow")
    await send(rt, beacon())
    [shadow] = await rows(rt, RunRow)
    assert (shadow.mode, shadow.shadow_of) == ("dry_run", None)


async def test_shadows_do_not_count_towards_the_live_limit(rt: Runtime) -> None:
    limited = playbook(limits="{runs_per_hour: 1}")
    await publish_playbook(rt, limited, "p.yaml", actor="person:ann")
    await publish_playbook(
        rt,
        playbook(version=2, limits="{runs_per_hour: 1}"),
        "p.yaml",
        actor="person:ann",
        stage="shadow",
    )
    await send(rt, beacon())
    assert sorted((run.mode, run.over_limit) for run in await rows(rt, RunRow)) == [
        ("dry_run", None),
        ("live", None),
    ]


async def test_alerts_of_a_dry_run_source_start_dry_runs_and_block_no_live_run(
    rt: Runtime,
) -> None:
    await publish_playbook(rt, playbook(), "p.yaml", actor="person:ann")
    async with rt.store.write() as session:
        await edit_rows(session, SourceRow, mode="dry_run")
    await send(rt, beacon())
    async with rt.store.write() as session:
        await edit_rows(session, SourceRow, mode="live")
    await send(rt, beacon(10))
    assert sorted(run.mode for run in await rows(rt, RunRow)) == ["dry_run", "live"]


async def test_answer_names_the_playbooks_that_match_their_runs_and_what_covers_them(
    rt: Runtime,
) -> None:
    await publish_playbook(rt, playbook(), "p.yaml", actor="person:ann")
    first, second = await send(rt, beacon()), await send(rt, beacon(1))
    other = {**EVE["alert"], "signature": "X", "category": "Misc activity", "metadata": {}}
    unmatched = await send(rt, beacon(2, alert=other))
    assert (first.matched, first.covered_by) == (("block-beacon",), ())
    assert first.alerts[0].run_ids == first.run_ids
    (cover,) = second.alerts[0].covered_by
    assert (second.matched, second.run_ids) == (("block-beacon",), ())
    assert (cover.playbook, cover.run_id, cover.key, cover.expires_at) == (
        "block-beacon",
        first.run_ids[0],
        "198.51.100.23",
        START + timedelta(hours=4),
    )
    assert (unmatched.matched, unmatched.run_ids, unmatched.covered_by) == ((), (), ())


async def test_alerts_of_one_body_each_say_what_they_start(rt: Runtime) -> None:
    await publish_playbook(rt, playbook(), "p.yaml", actor="person:ann")
    done = await send(rt, [beacon(), beacon(1)])
    started, covered = done.alerts
    assert (started.run_ids, [each.run_id for each in covered.covered_by]) == (
        done.run_ids,
        [done.run_ids[0]],
    )


async def add_monitor(rt: Runtime) -> None:
    """Add a source whose product reports ends, with a short time of correlation."""
    await add_source(
        rt,
        "monitor",
        "generic",
        "bearer",
        SecretStr(TOKEN),
        mapping={"dedup_key": "id", "title": "t", "host_name": "host", "resolved": "over"},
        correlate_within=timedelta(seconds=10),
        actor="person:ann",
    )


async def age(rt: Runtime, by: timedelta) -> None:
    """Move all incidents into the past."""
    async with rt.store.write() as session:
        await session.execute(
            update(IncidentRow).values(opened_at=START - by, last_alert_at=START - by)
        )


async def test_late_report_of_an_end_joins_the_incident_of_its_alert(rt: Runtime) -> None:
    await add_monitor(rt)
    start = await send(rt, {"id": 1, "t": "T", "host": "ws-1"}, "monitor")
    await send(rt, {"id": 1, "t": "T", "host": "ws-1"}, "monitor")
    await send(rt, {"id": 2, "t": "T", "host": "ws-1"}, "monitor")
    await age(rt, timedelta(days=30))
    other = await send(rt, {"id": 3, "t": "T", "host": "ws-1"}, "monitor")
    end = await send(rt, {"id": 1, "t": "T", "host": "ws-1", "over": True}, "monitor")
    assert end.incident_id == start.incident_id != other.incident_id
    assert (end.duplicate, end.matched) == (False, ())
    incidents = {row.id: row.alerts for row in await rows(rt, IncidentRow)}
    assert incidents == {start.incident_id: 3, other.incident_id: 1}
    again = await send(rt, {"id": 1, "t": "T", "host": "ws-1", "over": True}, "monitor")
    assert again.duplicate


async def test_end_of_an_alert_that_was_never_sent_is_correlated_as_any_other(rt: Runtime) -> None:
    await add_monitor(rt)
    first = await send(rt, {"id": 1, "t": "T", "host": "ws-1"}, "monitor")
    end = await send(rt, {"id": 2, "t": "T", "host": "ws-1", "over": True}, "monitor")
    assert end.incident_id == first.incident_id


async def test_end_in_the_same_body_joins_the_incident_of_its_alert(rt: Runtime) -> None:
    await add_monitor(rt)
    done = await send(
        rt,
        [{"id": 1, "t": "T"}, {"id": 2, "t": "T"}, {"id": 1, "t": "T", "over": True}],
        "monitor",
    )
    first, second, end = done.alerts
    assert (end.incident_id, second.incident_id != end.incident_id) == (first.incident_id, True)


async def test_what_an_alert_leaves_out_is_in_the_answer_the_trail_and_the_incident(
    rt: Runtime,
) -> None:
    done = await send(rt, beacon(timestamp="yesterday"))
    said = "$.timestamp: 'yesterday' is not a time"
    assert [str(each) for each in done.alerts[0].incomplete] == [said]
    [alert], [incident] = await rows(rt, AlertRow), await rows(rt, IncidentRow)
    assert [each["message"] for each in alert.view["incomplete"]] == ["'yesterday' is not a time"]
    assert incident.incomplete == 1
    assert [each["incomplete"] for each in await trail(rt, EventKind.ALERT_ACCEPTED)] == [[said]]


@pytest.mark.parametrize("alerts_sent", [1, 2])
async def test_concurrent_ends_in_two_processes_are_all_counted(
    processes: list[Runtime], alerts_sent: int
) -> None:
    await add_monitor(processes[0])
    for number in range(alerts_sent):
        await send(processes[0], {"id": number, "t": "T", "host": "ws-1"}, "monitor")
    await asyncio.gather(
        *(
            send(
                processes[number % 2],
                {"id": number % alerts_sent, "t": "T", "host": f"ws-{number}", "over": True}
                if number < alerts_sent
                else {"id": 10 + number, "t": "T", "host": "ws-1"},
                "monitor",
            )
            for number in range(8)
        )
    )
    [incident] = await rows(processes[0], IncidentRow)
    assert incident.alerts == alerts_sent + 8
