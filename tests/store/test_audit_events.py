"""Audit events are read in one checked place: a row that another hand wrote is no event."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orchestrator.audit import trail
from orchestrator.authoring.shadow import shadows
from orchestrator.domain.access import Permission
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.run import SHADOW, Mode, RunStatus
from orchestrator.incidents.search import search
from orchestrator.runtime import Runtime
from orchestrator.store.audit_events import select_events
from orchestrator.store.queries import approvals, runs
from orchestrator.store.search.filters import RunFilter
from orchestrator.store.tables import RunRow
from tests.audit.test_anchor import tamper
from tests.harness.databases import START, opened

STORE = Path(__file__).parents[2] / "orchestrator" / "store"
RUN = RunRow(
    id="run_1",
    playbook="contain",
    version=1,
    plan_digest="d",
    source="edge",
    severity=3,
    status=RunStatus.RUNNING,
    mode=Mode.LIVE,
    started_by="source:edge",
    created_at=START,
)


async def record(rt: Runtime, kind: EventKind, subject: str, **data: object) -> None:
    async with rt.store.write() as session:
        await trail.record(session, kind, actor="person:ann", subject=subject, data=data, now=START)


async def forge(rt: Runtime, kind: EventKind, subject: str, **data: object) -> None:
    """Write an event past Tocsin, with the MAC of another one."""
    await tamper(
        rt,
        "INSERT INTO audit_events (id, kind, time, actor, subject, data, mac) "
        f"SELECT 'evt_' || count(*), '{kind}', '2026-03-04T05:06:07.000000Z', 'person:eve', "
        f"'{subject}', '{json.dumps(data)}', coalesce(max(mac), 'm') FROM audit_events",
    )


@pytest.mark.attack(
    "insert the audit event of a decision", before="the approver counted as recorded"
)
async def test_forged_event_records_no_decision(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await record(rt, EventKind.APPROVAL_DECIDED, "app_1")
        await forge(rt, EventKind.APPROVAL_DECIDED, "app_1")
        async with rt.store.read() as session:
            assert await approvals.list_recorded_approvers(session, "app_1") == {"person:ann"}


@pytest.mark.attack(
    "insert the audit event of a retry, so that an approver counts as involved",
    before="the approver could not approve",
)
async def test_forged_event_involves_no_one_in_a_run(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await record(rt, EventKind.RUN_RETRIED, "run_1")
        await forge(rt, EventKind.RUN_RETRIED, "run_1")
        async with rt.store.read() as session:
            found = await approvals.list_starters(session, RUN)
        assert found == [("source:edge", "started the run"), ("person:ann", "retried the run")]


@pytest.mark.attack(
    "insert audit events, so that a filter chooses runs of other people",
    before="a bulk retry chose them",
)
async def test_forged_event_adds_no_run_to_a_filter(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        async with rt.store.write() as session:
            session.add(RUN.model_copy())
        await forge(rt, EventKind.RUN_RETRIED, "run_1")
        async with rt.store.read() as session:
            assert await runs.count(session, RunFilter(person="eve")) == 0
        await record(rt, EventKind.RUN_RETRIED, "run_1")
        async with rt.store.read() as session:
            assert await runs.count(session, RunFilter(person="ann")) == 1
            assert await runs.count(session, RunFilter(person="eve")) == 0


async def test_forged_event_makes_no_version_a_shadow(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await forge(rt, EventKind.PLAYBOOK_STAGED, "contain", version=2, stage=SHADOW)
        async with rt.store.read() as session:
            assert await shadows.last_shadow_period(session, "contain", 2) is None
        await record(rt, EventKind.PLAYBOOK_STAGED, "contain", version=2, stage=SHADOW)
        async with rt.store.read() as session:
            assert await shadows.last_shadow_period(session, "contain", 2) is not None


async def test_search_shows_no_forged_event_and_all_others(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as [rt]:
        await record(rt, EventKind.ALERT_ACCEPTED, "198.51.100.7")
        for _ in range(5):
            await forge(rt, EventKind.ALERT_ACCEPTED, "198.51.100.7")
        found = await search(rt, "198.51.100.7", set(Permission), limit=2)
        assert found.audit is not None
        assert [item.title for item in found.audit] == [
            "alert:intake:accepted of 198.51.100.7 by person:ann"
        ]
        async with rt.store.read() as session:
            assert len(await select_events(session, limit=1)) == 1


def test_no_other_query_reads_events_unchecked() -> None:
    reads = re.compile(r"select\([^)]*AuditEventRow|session\.get\(\s*AuditEventRow")
    found = {
        str(file.relative_to(STORE))
        for file in STORE.rglob("*.py")
        if reads.search(file.read_text("utf-8"))
    }
    assert found <= {"audit_events.py", "queries/audit.py"}
