"""Closed records go into a file that verifies, then out of the database; the trail stays whole."""

from __future__ import annotations

import base64
import gzip
import json
import stat
from pathlib import Path

import pytest
from sqlalchemy import func, select

from orchestrator.audit.sealer import export_trail
from orchestrator.audit.verify.check import verify
from orchestrator.containments.queries import list_containments
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import NotFound
from orchestrator.incidents.queries import get_alert, get_incident, get_raw, list_alerts
from orchestrator.retention.archive import archive, plan_archive, write_archive
from orchestrator.retention.manifest import manifest_path
from orchestrator.retention.remove import remove_archived
from orchestrator.retention.verify import check_archive_of
from orchestrator.runs.queries import get_run, list_runs
from orchestrator.runtime import Runtime
from orchestrator.store.search.filters import ContainmentFilter
from orchestrator.store.tables import AuditEventRow, RejectedRow, RunRow, StepRow
from tests.harness.databases import START
from tests.harness.trails import stored_events
from tests.retention.old_records import (
    BEFORE,
    OLD,
    add,
    alert,
    archived,
    closed,
    counts,
    edit,
    incident,
    installed,
    of_run,
    run,
)


def rows_in(path: Path) -> list[tuple[str, dict[str, object]]]:
    with gzip.open(path) as lines:
        parsed = [json.loads(line) for line in lines]
    return [(line["table"], line["row"]) for line in parsed if "table" in line]


async def count_events(rt: Runtime) -> int:
    async with rt.store.read() as session:
        return await session.scalar(select(func.count()).select_from(AuditEventRow)) or 0


async def test_closed_incident_is_archived_with_all_that_belongs_to_it(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        await add(rt, *closed("a"), *closed("young", START))
        before = await counts(rt)
        done = await archived(rt, tmp_path)
        after = await counts(rt)
        assert {table: before[table] - after[table] for table in before} == done.removed.rows
        assert done.removed.rows == done.manifest.content.rows
        assert after == {table: number // 2 for table, number in before.items()}
        assert done.removed.left == 0
        assert {name for name, _ in rows_in(done.path)} == set(before)
        assert stat.S_IMODE(done.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(manifest_path(done.path).stat().st_mode) == 0o600
        assert done.manifest.content.first == done.manifest.content.last == OLD
        assert (await check_archive_of(rt, done.path)).findings == []


async def test_plan_counts_what_the_archive_then_holds_and_changes_nothing(
    tmp_path: Path,
) -> None:
    async with installed(tmp_path) as rt:
        by_hand = run("c", incident_id=None, alert_id=None)
        await add(rt, *closed("a"), *closed("b"), by_hand, *of_run("c"))
        before = await counts(rt)
        planned = await plan_archive(rt, BEFORE)
        assert await counts(rt) == before
        assert planned.kept == {}
        assert planned.rows == (await archived(rt, tmp_path)).manifest.content.rows


async def test_nothing_is_written_where_nothing_is_old_enough(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("young", START))
        made = await archive(rt, BEFORE, tmp_path / "x", actor="person:t", report=lambda _: None)
        assert made is None
        assert list((tmp_path / "x").iterdir()) == []


async def test_events_of_an_archived_run_stay_and_the_export_verifies(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        await add(rt, *closed("a"))
        known = await count_events(rt)
        done = await archived(rt, tmp_path)
        assert await count_events(rt) == known + 1
        [event] = await stored_events(rt, EventKind.RETENTION_ARCHIVED)
        assert event.subject == done.path.name
        assert event.data["sha256"] == done.manifest.content.sha256
        assert event.data["rows"] == done.manifest.content.rows
        await export_trail(rt, tmp_path / "t.jsonl")
        report = verify(tmp_path / "t.jsonl", rt.audit_key.public)
        assert (report.status, report.events) == ("intact", known + 1)


async def test_lists_go_on_and_a_single_archived_record_says_so(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"), *closed("young", START))
        await archived(rt, tmp_path)
        assert [each.id for each in (await list_runs(rt)).items] == ["run_young"]
        assert [each.id for each in (await list_alerts(rt)).items] == ["alert_young"]
        with pytest.raises(NotFound, match="run run_a is not in the database any more, as it was"):
            await get_run(rt, "run_a")
        with pytest.raises(NotFound, match="tocsin audit list --subject alert_a"):
            await get_alert(rt, "alert_a")
        with pytest.raises(NotFound):
            await get_incident(rt, "inc_a")
        with pytest.raises(NotFound, match="run run_b does not exist"):
            await get_run(rt, "run_b")


async def test_lifted_containment_is_listed_without_the_run_that_made_it(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        await archived(rt, tmp_path)
        [found] = (await list_containments(rt, ContainmentFilter())).items
        assert (found.state, found.leases, found.approval_id) == ("lifted", [], None)


async def test_rejected_delivery_is_archived_with_its_body_as_it_is_sealed(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        sealed = rt.secrets.seal(b"what the source sent", b"a delivery")
        about = {"id": "rej_1", "source": "edge", "product": "generic", "reason": "malformed"}
        body = {"body": sealed, "body_sha256": "h", "bytes": 20, "status": 400, "detail": "no JSON"}
        coding = {"content_type": "application/json", "content_encoding": ""}
        times = {"received_at": OLD, "last_seen_at": OLD}
        await add(rt, RejectedRow(**about | body | coding | times))
        done = await archived(rt, tmp_path)
        assert done.removed.rows == {"rejected_deliveries": 1}
        [(_, row)] = rows_in(done.path)
        assert base64.b64decode(str(row["body"])) == sealed


async def test_crash_between_the_file_and_the_deletion_loses_nothing(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        await add(rt, *closed("a"))
        before = await counts(rt)
        written = await write_archive(rt, BEFORE, tmp_path / "archive")
        assert written is not None
        assert await counts(rt) == before
        [finding] = (await check_archive_of(rt, written[0])).findings
        assert "nothing was deleted for it" in finding
        done = await archived(rt, tmp_path)
        assert done.path != written[0]
        assert set((await counts(rt)).values()) == {0}
        assert rows_in(done.path) == rows_in(written[0])


async def test_crash_in_the_middle_of_the_deletion_is_continued_by_the_next_archive(
    tmp_path: Path,
) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"), *closed("b"))
        written = await write_archive(rt, BEFORE, tmp_path / "archive")
        assert written is not None

        def crash(_: int) -> None:
            raise InterruptedError

        with pytest.raises(InterruptedError):
            await remove_archived(rt, *written, actor="person:test", progress=crash)
        left = await counts(rt)
        assert (left["runs"], left["alerts"], left["incidents"]) == (0, 2, 2)
        assert (await check_archive_of(rt, written[0])).findings == []
        second = await archived(rt, tmp_path)
        assert set((await counts(rt)).values()) == {0}
        first = {json.dumps(row, sort_keys=True) for row in rows_in(written[0])}
        assert {json.dumps(row, sort_keys=True) for row in rows_in(second.path)} < first


async def test_record_that_changed_after_it_was_archived_stays(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        await add(rt, *closed("a"))
        before = await counts(rt)
        written = await write_archive(rt, BEFORE, tmp_path / "archive")
        assert written is not None
        await edit(rt, RunRow, error="another word")
        done = await remove_archived(rt, *written, actor="person:test", progress=lambda _: None)
        assert await counts(rt) == before
        assert done.left == 3  # the run, and with it the alert and the incident


async def test_run_that_a_person_retried_after_it_was_archived_stays(tmp_path: Path) -> None:
    async with installed(tmp_path) as rt:
        await add(rt, *closed("a"))
        before = await counts(rt)
        written = await write_archive(rt, BEFORE, tmp_path / "archive")
        assert written is not None
        await edit(rt, RunRow, ended_at=None, status="running", attempt=2)
        await remove_archived(rt, *written, actor="person:test", progress=lambda _: None)
        assert await counts(rt) == before


async def test_body_that_a_young_alert_shares_is_handed_on(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        young = alert("young", START, raw=b"", raw_sha256="sha of a")
        await add(rt, *closed("a"), incident("young", START), young)
        await archived(rt, tmp_path)
        assert await get_raw(rt, "alert_young") == b"body of a"


async def test_alerts_of_one_body_are_archived_with_one_body(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        others = [
            alert(f"b{number:03}", incident_id="inc_a", raw=b"", raw_sha256="sha of a")
            for number in range(250)
        ]
        await add(rt, *closed("a"), *others)
        done = await archived(rt, tmp_path)
        assert (done.removed.rows["alerts"], done.removed.left) == (251, 0)
        bodies = [row["raw"] for table, row in rows_in(done.path) if table == "alerts"]
        assert sum(1 for body in bodies if body) == 1


async def test_record_of_many_rows_is_read_in_pieces_and_goes_as_a_whole(
    tmp_path: Path, database: str | None
) -> None:
    async with installed(tmp_path, database) as rt:
        steps = [
            StepRow(
                run_id="run_a",
                path=f"each[{seq}]",
                kind="action",
                state="done",
                seq=seq,
                started_at=OLD,
            )
            for seq in range(2_500)
        ]
        await add(rt, *closed("a"), *steps, *closed("b"))
        done = await archived(rt, tmp_path)
        assert done.removed.rows["steps"] == 2_504
        assert set((await counts(rt)).values()) == {0}
