"""A broken trail is one task and its mails; what else the worker does goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from orchestrator.audit.sealer import export_trail
from orchestrator.audit.verify.check import verify
from orchestrator.domain.incident import TaskState
from orchestrator.incidents.tasks import list_tasks
from orchestrator.incidents.trail_alarm import TrailAlarm
from orchestrator.store.search.filters import TaskFilter
from orchestrator.store.tables import AuditBatchRow
from tests.audit.test_anchor import sealed, tamper, write
from tests.harness.databases import opened


@pytest.mark.attack(
    "break the trail, so that the sweeper stops", before="reminders, dispatch and leases stopped"
)
async def test_broken_trail_opens_one_task_that_closes_once_it_is_restored(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 3)
        async with rt.store.read() as session:
            [row] = await session.scalars(select(AuditBatchRow).where(AuditBatchRow.number == 3))  # type: ignore[arg-type]
        await tamper(rt, "DELETE FROM audit_batches WHERE number = 3")
        alarm = TrailAlarm(rt)
        for _ in range(3):
            assert await alarm.seal() == 0
        assert await TrailAlarm(rt).seal() == 0  # another worker
        [task] = (await list_tasks(rt)).items
        assert (task.kind, task.subject) == ("audit_trail", "sealing")
        assert "remembers batch 3" in task.summary
        async with rt.store.write() as session:
            session.add(AuditBatchRow(**row.model_dump()))
        await alarm.seal()
        await alarm.seal()
        assert (await list_tasks(rt)).items == []
        [closed] = (await list_tasks(rt, TaskFilter(state=(TaskState.CLOSED,)))).items
        assert closed.id == task.id
        await write(rt, "next")
        await alarm.seal()
        await export_trail(rt, tmp_path / "t.jsonl")
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public).status == "intact"


async def test_task_of_an_earlier_process_closes_when_the_trail_is_intact(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await sealed(rt, 2)
        path = rt.settings.audit_anchor_path
        good = path.read_bytes()
        path.write_bytes(b"x\n")
        await TrailAlarm(rt).seal()
        assert len((await list_tasks(rt)).items) == 1
        path.write_bytes(good)
        await TrailAlarm(rt).seal()
        assert (await list_tasks(rt)).items == []
