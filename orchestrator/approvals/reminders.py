"""Which questions are people reminded of? Those nobody has decided, ever more rarely, and never after their time is up."""

from __future__ import annotations

from orchestrator.audit import trail
from orchestrator.domain.approval import next_reminder
from orchestrator.domain.audit_event import EventKind
from orchestrator.notifications import outbox
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals


async def remind(rt: Runtime, limit: int) -> int:
    """Reminds of what is due, each question in a transaction of its own; how many were."""
    async with rt.store.read() as session:
        due = await approvals.due_for_reminder(session, rt.clock(), limit)
    return sum([await _remind(rt, approval_id) for approval_id in due])


async def _remind(rt: Runtime, approval_id: str) -> bool:
    now = rt.clock()
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        if row is None or row.state != "pending" or row.remind_at is None or row.remind_at > now:
            return False  # another worker has, or it was decided this moment
        if row.expires_at <= now:
            row.remind_at = None
            return False
        every = (await policy_in_force(session)).policy.approvals.remind_every
        row.reminders += 1
        row.remind_at = next_reminder(now, row.asked_at, row.expires_at, every, row.reminders)
        told = {
            "approval": row.id,
            "run": row.run_id,
            "reminder": row.reminders,
            "expires_at": row.expires_at,
            "next": row.remind_at,
        }
        await trail.record(
            session, EventKind.APPROVAL_REMINDED, actor="system", subject=row.id, data=told, now=now
        )
        await outbox.tell(session, row, "reminder", now)
    return True
