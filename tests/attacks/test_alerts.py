"""An attacker who writes alerts: none of them hides a worse one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from orchestrator.approvals.reminders import send_due_reminders
from orchestrator.approvals.views import get_approval
from orchestrator.briefing.text import approval_text
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.run import RunStatus
from orchestrator.intake.accept import accept
from orchestrator.intake.answers import Accepted
from orchestrator.intake.sources import add_source
from orchestrator.registry.publish import publish_playbook
from orchestrator.runtime import Runtime
from orchestrator.store.tables import ApprovalRow, RunRow
from tests.harness.databases import START, opened
from tests.harness.trails import stored_events

TOKEN = "a-token-of-32-characters-0123456"
MAPPING = {
    "alerts": "alerts",
    "title": "title",
    "dedup_key": "id",
    "severity": "severity",
    "remote_address": "remote",
}
PLAYBOOK = """
playbook: block
version: 1
title: Block
owner: soc
trigger:
  when: alert.severity >= 1
  once_per: ${{ alert.remote.address }}
  within: 12h
steps:
  - id: block
    use: firewall.block_address
    with: {address: "${{ alert.remote.address }}"}
"""


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        for name in ("mail-gateway", "edr"):
            await add_source(
                runtime,
                name,
                "acme",
                "bearer",
                SecretStr(TOKEN),
                mapping=MAPPING,
                actor="person:ann",
            )
        await publish_playbook(runtime, PLAYBOOK, "p.yaml", actor="person:ann")
        yield runtime


async def send(rt: Runtime, source: str, *severities: int, remote: str = "203.0.113.9") -> Accepted:
    """Send one body with an alert of each severity."""
    sent = len(await rows(rt, RunRow)) * 100
    items = [
        {"id": f"{source}-{sent}-{severity}", "title": "t", "severity": severity, "remote": remote}
        for severity in severities
    ]
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    done = await accept(rt, source, headers, json.dumps({"alerts": items}).encode())
    assert isinstance(done, Accepted)
    return done


async def rows(rt: Runtime, table: type[Any]) -> list[Any]:
    async with rt.store.read() as session:
        return list(await session.scalars(select(table)))


async def end(rt: Runtime, run_id: str, status: RunStatus) -> None:
    async with rt.store.write() as session:
        row = await session.get(RunRow, run_id)
        assert row is not None
        row.status, row.ended_at = status, START


async def ask(rt: Runtime, run_id: str) -> None:
    """Add the question that a run waits for."""
    async with rt.store.write() as session:
        row = await session.get(RunRow, run_id)
        assert row is not None
        row.status = RunStatus.WAITING
        session.add(
            ApprovalRow(
                id="apr_1",
                run_id=run_id,
                workflow_id="w",
                path="block",
                kind="change",
                question="Block it?",
                digest="d",
                state=ApprovalState.PENDING,
                asked_at=START,
                expires_at=START + timedelta(hours=12),
            )
        )


@pytest.mark.attack(
    "let a run over a tame alert wait for an approval, and attack meanwhile",
    before="the severe alert was covered by the waiting run, and no one saw it",
)
async def test_severe_alert_raises_the_waiting_run_that_covers_it(rt: Runtime) -> None:
    (waiting,) = (await send(rt, "mail-gateway", 1)).run_ids
    await ask(rt, waiting)
    severe = await send(rt, "edr", 6)
    assert [cover.run_id for cover in severe.covered_by] == [waiting]
    view = await get_approval(rt, "apr_1")
    assert (view.severity, view.more_severe and view.more_severe.source) == (6, "edr")
    text = approval_text(view)
    assert text.severity == "fatal"
    assert "A more severe alert has joined since" in [section.title for section in text.sections]
    assert await send_due_reminders(rt, 10) == 1
    raised = await stored_events(rt, EventKind.RUN_RAISED)
    assert [(event.data["from"], event.data["to"]) for event in raised] == [(1, 6)]
    await send(rt, "edr", 5)
    assert await send_due_reminders(rt, 10) == 0


@pytest.mark.attack(
    "have a run over a tame alert end first, so that its `once_per` key mutes the attack",
    before="a declined or completed run muted a severity-6 alert of any source for 12 h",
)
@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.DECLINED, RunStatus.FAILED])
async def test_ended_run_mutes_no_more_severe_alert(rt: Runtime, status: RunStatus) -> None:
    (tame,) = (await send(rt, "mail-gateway", 2)).run_ids
    await end(rt, tame, status)
    assert (await send(rt, "mail-gateway", 1)).run_ids == ()
    (severe,) = (await send(rt, "mail-gateway", 6)).run_ids
    created = await stored_events(rt, EventKind.RUN_CREATED)
    assert [event.data.get("not_covered_by") for event in created] == [tame, None]
    assert (await send(rt, "edr", 6)).covered_by[0].run_id == severe


async def test_run_that_did_not_complete_mutes_no_other_source(rt: Runtime) -> None:
    (tame,) = (await send(rt, "mail-gateway", 3)).run_ids
    await end(rt, tame, RunStatus.FAILED)
    assert len((await send(rt, "edr", 3)).run_ids) == 1


async def test_most_severe_alert_of_a_body_starts_the_run(rt: Runtime) -> None:
    done = await send(rt, "edr", 1, 6, 3)
    assert [len(alert.run_ids) for alert in done.alerts] == [0, 1, 0]
    assert [run.severity for run in await rows(rt, RunRow)] == [6]
