"""An event is stored exactly when its change is, and a later start notices a cut trail."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text

from orchestrator.audit import trail
from orchestrator.audit.sealer import export_trail, seal_pending
from orchestrator.audit.verify.check import verify
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime
from orchestrator.store.tables import AuditEventRow
from tests.harness.databases import START, opened


async def note(rt: Runtime, subject: str = "run_1", **data: Any) -> None:
    async with rt.store.write() as session:
        await trail.record(
            session, EventKind.RUN_CREATED, actor="system", subject=subject, data=data, now=START
        )


async def test_event_is_rolled_back_with_its_transaction(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        with pytest.raises(ZeroDivisionError):
            async with rt.store.write() as session:
                await trail.record(
                    session, EventKind.RUN_CREATED, actor="system", subject="1", data={}, now=START
                )
                raise ZeroDivisionError
        async with rt.store.read() as session:
            assert await session.scalar(select(func.count()).select_from(AuditEventRow)) == 0


async def test_secrets_and_unstorable_values_are_sanitized(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await note(
            rt,
            token=SecretStr("s3cret"),
            text="a\x00b\ud800",
            big=2**70,
            at=START + timedelta(seconds=1),
        )
        await export_trail(rt, tmp_path / "t.jsonl")
        written = (tmp_path / "t.jsonl").read_text()
        assert "s3cret" not in written
        data = json.loads(written.splitlines()[1])["event"]["data"]
        assert data == {
            "token": "**********",
            "text": "a\ufffdb\ufffd",
            "big": str(2**70),
            "at": "2026-03-04T05:06:08.000000Z",
        }
        assert verify(tmp_path / "t.jsonl", rt.audit_key.public).status == "intact"


async def test_several_batches_are_sealed_in_one_chain(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        events = [
            trail.event(EventKind.STEP_READ, actor="run:1", subject=str(n), data={}, now=START)
            for n in range(5_000)
        ]
        async with rt.store.write() as session:
            await trail.record_all(session, events)
        assert await seal_pending(rt) == 5_000
        assert await seal_pending(rt) == 0
        head = await export_trail(rt, tmp_path / "t.jsonl")
        assert (head.batches, head.events) == (2, 5_000)


async def test_row_altered_past_the_triggers_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        for number in range(5):
            await note(rt, subject=f"run_{number}")
        await seal_pending(rt)
        async with rt.store.write() as session:
            await session.execute(text("DROP TRIGGER audit_events_no_update"))
            await session.execute(
                text("UPDATE audit_events SET subject = 'run_x' WHERE number = 3")
            )
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public)
        assert report.status == "altered"
        assert "event 3" in report.findings[0]


@pytest.mark.attack(
    "put yesterday's copy of the database back", before="sealed on, and `audit verify` says intact"
)
async def test_restored_old_copy_of_the_database_is_not_sealed(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await note(rt)
        await seal_pending(rt)
    data = tmp_path / "data"
    shutil.copy(data / "tocsin.db", tmp_path / "old.db")
    async with opened(tmp_path, None) as [rt]:
        await note(rt)
        await export_trail(rt, tmp_path / "t.jsonl")
    shutil.copy(tmp_path / "old.db", data / "tocsin.db")
    async with opened(tmp_path, None) as [rt]:
        await note(rt)
        with pytest.raises(Conflict, match="remembers batch 2"):
            await seal_pending(rt)
