"""Reminders of pending approvals, in growing intervals until the approval expires."""

from __future__ import annotations

from orchestrator.audit import trail
from orchestrator.domain.approval import ApprovalState, next_reminder
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.notification import NotificationKind
from orchestrator.notifications import outbox
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals


async def send_due_reminders(rt: Runtime, limit: int) -> int:
    """Queue the reminders that are due, each in its own transaction. Return how many."""
    async with rt.store.read() as session:
        due = await approvals.list_due_reminders(session, rt.clock(), limit)
    return sum([await _remind(rt, approval_id) for approval_id in due])


async def _remind(rt: Runtime, approval_id: str) -> bool:
    now = rt.clock()
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        if row is None or row.state is not ApprovalState.PENDING:
            return False
        if row.remind_at is None or row.remind_at > now:
            return False  # another worker was first
        if row.expires_at <= now:
            row.remind_at = None
            return False
        every = (await load_policy(session)).policy.approvals.remind_every
        row.reminders += 1
        row.remind_at = next_reminder(now, row.asked_at, row.expires_at, every, row.reminders)
        details = {
            "approval": row.id,
            "run": row.run_id,
            "reminder": row.reminders,
            "expires_at": row.expires_at,
            "next": row.remind_at,
        }
        await trail.record(
            session,
            EventKind.APPROVAL_REMINDED,
            actor="system",
            subject=row.id,
            data=details,
            now=now,
        )
        await outbox.notify_approvers(session, row, NotificationKind.REMINDER, now)
    return True
