"""An event is what a process of this installation wrote: inserted and changed rows are set aside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.audit import trail
from orchestrator.audit.queries import list_events
from orchestrator.audit.sealer import export_trail, seal_pending
from orchestrator.audit.verify.check import verify
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.incidents.tasks import list_tasks
from orchestrator.incidents.trail_alarm import TrailAlarm
from orchestrator.incidents.trail_health import trail_health
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.store.session import Store
from tests.audit.test_anchor import tamper, write
from tests.harness.databases import START, opened

INSERT = (
    "INSERT INTO audit_events (number, id, kind, time, actor, subject, data, mac) "
    "SELECT 50, 'evt_forged', kind, time, actor, 'run_forged', data, mac FROM audit_events LIMIT 1"
)


async def subjects(rt: Runtime, folder: Path) -> list[str]:
    """Return the subjects of the exported events."""
    await export_trail(rt, folder / "t.jsonl")
    lines = [json.loads(line) for line in (folder / "t.jsonl").read_bytes().splitlines()]
    return [line["event"]["subject"] for line in lines if "event" in line]


@pytest.mark.attack(
    "insert a back-dated event, or change one before it is sealed",
    before="sealed, signed and shown as a fact",
)
@pytest.mark.parametrize(
    "statement",
    [
        INSERT,
        *(
            f"UPDATE audit_events SET {column} = {value} WHERE number = 2"
            for column, value in {
                "id": "'evt_x'",
                "kind": "'run:ended'",
                "time": "'2020-01-01T00:00:00.000000Z'",
                "actor": "'person:eve'",
                "subject": "'run_x'",
                "data": "'{}'",
                "mac": "''",
            }.items()
        ),
        "UPDATE audit_events SET kind = 'no:such:kind' WHERE number = 2",
        "UPDATE audit_events SET data = 'no json' WHERE number = 2",
        (
            "UPDATE audit_events SET mac = (SELECT mac FROM audit_events WHERE number = 1) "
            "WHERE number = 2"
        ),
    ],
)
async def test_inserted_or_changed_row_is_not_sealed_and_the_rest_goes_on(
    tmp_path: Path, statement: str
) -> None:
    async with opened(tmp_path, None) as [rt]:
        await write(rt, "run_1", "run_2", "run_3")
        await tamper(rt, statement)
        alarm = TrailAlarm(rt)
        await alarm.seal()
        await alarm.seal()
        await write(rt, "run_4")
        exported = await subjects(rt, tmp_path)
        genuine = {"run_1", "run_3", "run_4", *(["run_2"] if statement == INSERT else [])}
        assert {name for name in exported if name.startswith("run_")} == genuine
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public).status == "intact"
        number = 50 if statement == INSERT else 2
        [task] = (await list_tasks(rt)).items
        assert (task.kind, task.subject) == ("audit_trail", "quarantine")
        assert f"event {number} (" in task.summary
        assert (await trail_health(rt)).quarantine.total == 1
        listed = {view.number for view in (await list_events(rt)).items}
        assert number not in listed


async def test_row_put_into_the_quarantine_by_hand_is_sealed_by_the_next_export(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, None) as [rt]:
        await write(rt, "run_1")
        await tamper(
            rt, "INSERT INTO audit_quarantine VALUES (1, 'evt_x', '2026-01-01 00:00:00.000000')"
        )
        await seal_pending(rt)
        assert await subjects(rt, tmp_path) == ["run_1"]


async def test_more_forged_rows_than_a_batch_do_not_stop_the_sealer(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await write(rt, "run_1")
        await tamper(
            rt,
            "WITH RECURSIVE n(x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < 5000) "
            "INSERT INTO audit_events SELECT x, 'evt_' || x, 'run:ended', '', '', '', '{}', 'm' "
            "FROM n",
        )
        await write(rt, "run_last")
        assert await seal_pending(rt) == 2
        assert await subjects(rt, tmp_path) == ["run_1", "run_last"]


async def _record(rt: Runtime, **data: object) -> None:
    async with rt.store.write() as session:
        await trail.record(
            session,
            EventKind.STEP_INTENDED,
            actor="run:1",
            subject="1",
            data=data,
            now=START,
            event_id="intent",
        )


@pytest.mark.attack(
    "write the event of an intent before Tocsin does, so that its own is dropped",
    before="the intent was dropped in silence, and the change was made",
)
async def test_intent_that_another_wrote_before_is_an_error(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await _record(rt, target="a")
        await tamper(rt, "UPDATE audit_events SET mac = 'x:00'")
        with pytest.raises(Conflict, match="written past Tocsin"):
            await _record(rt, target="a")
        await tamper(rt, "UPDATE audit_events SET data = '{}'")
        with pytest.raises(Conflict, match="the audit trail has another event evt_"):
            await _record(rt, target="a")


async def test_retry_with_something_else_to_say_adds_an_event(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        for target in ("a", "a", "b"):
            await _record(rt, target=target)
        found = (await list_events(rt)).items
        assert [view.data["target"] for view in found] == ["b", "a"]


async def test_events_written_before_a_rotation_of_the_key_are_sealed(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await write(rt, "run_1")
        old = rt.settings.encryption_key_path.read_text("ascii").strip()
        ring = f"new:{'A' * 42}E=,{old}"
        settings = rt.settings.model_copy(update={"encryption_key": SecretStr(ring)})
        rotated = open_runtime(settings, clock=lambda: START)
        try:
            await write(rotated, "run_2")
            assert await seal_pending(rotated) == 2
        finally:
            await rotated.close()


async def test_store_without_keys_writes_no_event(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        keyless = Store(rt.settings.store_url)
        try:
            with pytest.raises(RuntimeError, match="opened without keys"):
                await write(replace(rt, store=keyless), "run_1")
        finally:
            await keyless.close()
