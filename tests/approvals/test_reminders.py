"""Reminders: growing intervals, none after the expiry, one per interval with many workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.approvals.reminders import send_due_reminders
from orchestrator.domain.access import Role
from orchestrator.domain.approval import next_reminder
from orchestrator.notifications.contacts import save_contact
from orchestrator.store.tables import NotificationRow
from tests.harness.approval_rows import ANN, NOW, Desk, desk
from tests.harness.people import add_key

HOUR = NOW + timedelta(hours=1)


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        yield made


def times(every: int, expires_at: datetime) -> list[int]:
    """Return the seconds after the request at which reminders are due."""
    found: list[int] = []
    due = next_reminder(NOW, NOW, expires_at, every, 0)
    while due is not None:
        found.append(int((due - NOW).total_seconds()))
        due = next_reminder(due, NOW, expires_at, every, len(found))
    return found


def test_the_pauses_double_until_the_expiry() -> None:
    assert times(300, HOUR) == [300, 900, 2100]
    assert times(3600, NOW + timedelta(minutes=10)) == [300]
    assert times(0, HOUR) == []


async def test_a_due_reminder_is_queued_and_recorded_and_the_next_one_set(at: Desk) -> None:
    await add_key(at.rt, person="ann", roles=[Role.APPROVER], groups=["leads"], actor="person:test")
    await save_contact(at.rt, "ann", email="ann@example.org", slack_user=None, actor="person:test")
    await at.ask(by_group="leads", expires_at=HOUR, remind_at=NOW + timedelta(seconds=300))
    assert await send_due_reminders(at.rt, 10) == 0
    at.pass_time(seconds=300)
    assert await send_due_reminders(at.rt, 10) == 1
    row = await at.row()
    assert (row.reminders, row.remind_at) == (1, NOW + timedelta(seconds=900))
    assert [event.data["reminder"] for event in await at.events("approval:reminded")] == [1]
    assert [
        (notification.person, notification.kind) for notification in await at.rows(NotificationRow)
    ] == [("ann", "reminder")]
    assert await send_due_reminders(at.rt, 10) == 0


async def test_concurrent_workers_remind_once(at: Desk) -> None:
    await at.ask(expires_at=HOUR, remind_at=NOW)
    assert sorted(
        await asyncio.gather(
            send_due_reminders(at.rt, 10),
            send_due_reminders(at.rt, 10),
            send_due_reminders(at.rt, 10),
        )
    ) == [0, 0, 1]
    assert len(await at.events("approval:reminded")) == 1


async def test_no_reminder_follows_the_end(at: Desk) -> None:
    await at.ask(remind_at=NOW, expires_at=NOW)
    assert await send_due_reminders(at.rt, 10) == 0
    assert (await at.row()).remind_at is None
    await at.ask("apr_2", state="declined", remind_at=NOW)
    assert await send_due_reminders(at.rt, 10) == 0


async def test_a_decision_ends_the_reminders(at: Desk) -> None:
    await at.ask(remind_at=NOW + timedelta(seconds=300))
    await at.decide(ANN)
    assert (await at.row()).remind_at is None
