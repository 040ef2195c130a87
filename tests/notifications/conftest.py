"""Fixtures of the notification tests: contacts, a mail server on the loopback, and Slack's emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from connectors.sdk.emulator import EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from connectors.slack.connector import Slack
from connectors.slack.emulator import SlackEmulator
from orchestrator.connections import manage as connections
from orchestrator.connections.open import pool_key
from orchestrator.domain.access import Role
from orchestrator.notifications import contacts
from orchestrator.policy import policies
from orchestrator.policy.document import DEFAULT_POLICY
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings
from orchestrator.store.queries import records
from orchestrator.store.tables import ConnectionRow, RunRow
from tests.harness.databases import migrate_quickly
from tests.harness.mail_server import MailServer
from tests.harness.notification_world import NOW, World
from tests.harness.people import add_key


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    """A mail server."""
    async with MailServer() as server:
        yield server


@pytest.fixture
async def world(tmp_path: Path, mail: MailServer) -> AsyncIterator[World]:
    """A world in which Ann and Bob may decide and are in leads, and Eve may only read."""
    settings = Settings.load(
        data_dir=tmp_path / "data",
        public_url="https://tocsin.example",
        smtp_url=mail.url,
        mail_from="tocsin@soc.example",
    )
    now = [NOW]
    rt = open_runtime(settings, clock=lambda: now[0])
    await migrate_quickly(rt)
    await policies.publish_policy(rt, DEFAULT_POLICY, actor="system")
    key_ids = {}
    for person, role, user in (
        ("ann", Role.APPROVER, "U0ANALYST01"),
        ("bob", Role.APPROVER, None),
        ("eve", Role.VIEWER, "U0LEADER001"),
    ):
        view, _ = await add_key(
            rt, person, (role,), groups=("leads",), expires_in=timedelta(days=1), actor="system"
        )
        key_ids[person] = view.id
        await contacts.save_contact(rt, person, f"{person}@corp.example", user, actor="system")
    slack = SlackEmulator()
    slack_settings = SlackEmulator.settings("http://127.0.0.1:1")
    await connections.save_connection(
        rt, "chat", "slack", slack_settings, actor="system", check=False
    )
    async with rt.store.read() as session:
        row = await records.get(session, ConnectionRow, "chat")
    assert row is not None
    for access in Access:
        opened = open_connector(Slack, slack_settings, access, EmulatorTransport(slack))
        rt.connections.get(pool_key(row, access), lambda opened=opened: opened)  # type: ignore[misc]
    async with rt.store.write() as session:
        run = {
            "playbook": "c2",
            "version": 3,
            "plan_digest": "p",
            "status": "waiting",
            "started_by": "system",
            "dispatched": True,
        }
        session.add(RunRow(id="run_1", created_at=datetime(2026, 3, 4, tzinfo=UTC), **run))
    app = create_app(rt, lambda: None)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://tocsin.example"
    ) as browser:
        yield World(rt, now, mail, slack, browser, key_ids)
    await rt.close()
