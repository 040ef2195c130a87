"""The world of the notification tests: people, a mail server, Slack, a browser, and a clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select

from connectors.slack.emulator import SlackEmulator
from orchestrator.approvals.views import get_approval
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.notification import NotificationKind
from orchestrator.notifications.outbox import close_notifications, notify_approvers
from orchestrator.notifications.sender import send_due
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals
from orchestrator.store.tables import ApprovalRow, NotificationRow
from tests.harness.mail_server import MailServer
from tests.harness.trails import stored_events

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CHANGE = {
    "connection": "firewall",
    "connector": "palo_alto",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7", "token": "s3cret"},
    "planned_change": {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag it",
    },
}
RESTORE = CHANGE | {
    "action": "unblock_network",
    "effect": "restore",
    "input": {"network": "198.51.100.0/28"},
    "planned_change": {
        "target": {"type": "network", "value": "198.51.100.0/28"},
        "changed": True,
        "summary": "Unblock it",
    },
    "digest": "r1",
}
HOLDERS = [
    {
        "lease": "run_7/block",
        "containment": "k7",
        "run": "run_7",
        "playbook": "c2-beacon-containment",
        "target": {"type": "address", "value": "198.51.100.7"},
        "expires_at": "2026-03-05T05:06:00Z",
    },
    {
        "lease": "run_8/block",
        "containment": "k8",
        "run": "run_8",
        "playbook": None,
        "target": {"type": "network", "value": "198.51.100.0/28"},
        "expires_at": None,
    },
]
"""The live leases that `RESTORE` ends."""
FORM = "application/x-www-form-urlencoded"


@dataclass
class World:
    """One runtime with everything around it."""

    rt: Runtime
    now: list[datetime]
    mail: MailServer
    slack: SlackEmulator
    browser: httpx.AsyncClient
    key_ids: dict[str, str]

    async def ask(
        self, notification: NotificationKind = NotificationKind.ASKED, **columns: Any
    ) -> str:
        """Add an approval, and notify those who may decide."""
        given = {
            "id": "apr_1",
            "kind": "change",
            "question": "Block it?",
            "digest": "d",
            "state": "pending",
            "path": "block",
        }
        times = {"asked_at": self.now[0], "expires_at": self.now[0] + timedelta(minutes=15)}
        changes = [{**CHANGE, "digest": "c1"}, {**CHANGE, "digest": "c2"}]
        values = {
            "workflow_id": "w",
            "changes": changes,
            "by_group": "leads",
            **given,
            **times,
            **columns,
        }
        async with self.rt.store.write() as session:
            row = ApprovalRow(run_id="run_1", **values)
            session.add(row)
            await notify_approvers(session, row, notification, self.now[0])
        await send_due(self.rt)
        return str(values["id"])

    async def close(self, approval_id: str = "apr_1", state: ApprovalState | None = None) -> None:
        """Enter a state, and close the notifications of an approval."""
        async with self.rt.store.write() as session:
            row = await approvals.get(session, approval_id)
            assert row is not None
            if state is not None:
                row.state, row.decided_at = state, self.now[0]
            await close_notifications(session, row.id, self.now[0])

    def link(self, person: str = "ann", which: int = -1) -> str:
        """Return the path of the link in a mail to a person."""
        return self.link_address(person, which).removeprefix("https://tocsin.example")

    def link_address(self, person: str = "ann", which: int = -1) -> str:
        """Return the address in a mail to a person."""
        mails = [mail for mail in self.mail.taken if mail["To"] == f"{person}@corp.example"]
        body = mails[which].get_body(("plain",))
        assert body is not None
        found = re.search(r"https?://\S+/a/\S+", body.get_content())
        assert found is not None
        return found[0]

    async def post(
        self,
        path: str,
        decision: str = "approve",
        digest: str = "d",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Any:
        """Submit the form of a link's page."""
        fields = {
            "decision": decision,
            "digest": digest,
            "change": ["c1", "c2"],
            "comment": "",
            **more,
        }
        return await self.browser.post(path, data=fields, headers=headers)

    async def state(self, approval_id: str = "apr_1") -> str:
        """Return the state of an approval."""
        return (await get_approval(self.rt, approval_id)).state.value

    async def events(self, kind: EventKind) -> list[Event]:
        """Return the events of a kind."""
        return await stored_events(self.rt, kind)

    async def notifications(self, **columns: Any) -> list[NotificationRow]:
        """Return notifications with these columns."""
        async with self.rt.store.read() as session:
            rows = await session.scalars(
                select(NotificationRow).filter_by(**columns).order_by(NotificationRow.id)
            )  # type: ignore[arg-type]
            return list(rows)

    def later(self, **much: float) -> None:
        """Move the clock forward."""
        self.now[0] += timedelta(**much)
