"""The activity `check_drift`: read a held containment back; if gone, apply again or report."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access
from orchestrator.approvals.coverage import missing_approval
from orchestrator.audit import trail
from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.connections.open import open_connection_for
from orchestrator.connections.write_guard_audit import audit_write_attempts
from orchestrator.containments.expected_state import (
    ExpectedState,
    load_expected_state,
    lock_if_unchanged,
)
from orchestrator.contracts.names import Activity
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.containment import DriftState
from orchestrator.domain.errors import ActionError, Conflict, Invalid, NotFound, TocsinError
from orchestrator.domain.incident import TaskKind
from orchestrator.engine.activities.evaluate import evaluate_change
from orchestrator.engine.activities.verify import poll_until
from orchestrator.engine.run_context import run_context
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.incidents import tasks
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, EffectRow

PAUSES = (0.0, 0.3)
"""Seconds before each read."""
REAPPLY_TIME = timedelta(seconds=60)
"""Time limit of applying a change again."""
REAPPLY_PATIENCE = timedelta(minutes=2)
"""How long a release waits for that; after it, the worker is considered dead."""
_HOUR = 3600


class DriftCheck:
    """Reads. Reapplies only the very change that was evaluated and approved before.

    It is evaluated again, and held by a live lease at that moment.
    """

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.CHECK_DRIFT)
    async def check_drift(self, key: str) -> None:
        """Read the device and record the outcome. An unavailable one waits for the next check."""
        with translate_errors():
            async with self._rt.store.read() as session:
                expected = await load_expected_state(session, key)
            if expected is None:
                return
            try:
                in_force = await self._is_in_force(expected)
            except (ActionError, NotFound, Invalid, Conflict):
                return  # `verified_at` stays as it is, for all to see
            if in_force:
                await self._record_in_force(expected)
            elif reason := await self._reapply(expected):
                await self._report(expected, reason)

    async def _is_in_force(self, expected: ExpectedState) -> bool:
        connector = await self._connector(expected, Access.READ)
        change, call = expected.change, expected.call
        purpose = f"whether {change.action} is in force"
        async with audit_write_attempts(self._rt, change.connection, purpose, expected.run.id):
            return await poll_until(
                lambda: connector.verify(
                    change.action, change.input, change.planned_change, expected.output, call
                ),
                PAUSES,
            )

    async def _connector(self, expected: ExpectedState, access: Access) -> Connector[Any]:
        connection = expected.change.connection
        connector = await open_connection_for(self._rt, connection, access)
        if connector.name != expected.change.connector:
            raise Conflict(f"{connection} is a {connector.name} now")
        return connector

    async def _record_in_force(self, expected: ExpectedState) -> None:
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await lock_if_unchanged(session, expected, now)
            if row is not None:
                await _mark_in_force(session, expected, row, now)

    async def _reapply(self, expected: ExpectedState) -> str:
        """Apply the change again, or return why not. Empty: there is nothing to report."""
        async with self._rt.store.read() as session:
            if (await load_policy(session)).policy.drift.then != "reapply":
                return "the policy wants it reported"
        if expected.effect is None and expected.owner is not None:
            return "the change of another step contained it, and the policy evaluated only that one"
        if expected.effect is None:
            return "it was in force before Tocsin, which does not apply it"
        if expected.change.effect is not Effect.CONTAIN:
            return "only containments are applied again"
        try:
            refusal = await self._plan_again(expected) or await self._intend(
                expected, expected.effect
            )
            if refusal is None:
                await self._apply(expected)
        except (TocsinError, TimeoutError) as error:
            return f"it could not be applied again: {error or 'it took too long'}"
        return refusal or ""

    async def _plan_again(self, expected: ExpectedState) -> str | None:
        """Return None if the plan is the very change that was evaluated and approved then."""
        connector, change = await self._connector(expected, Access.READ), expected.change
        purpose = f"to plan {change.action} again"
        async with audit_write_attempts(self._rt, change.connection, purpose, expected.run.id):
            planned_change = await connector.plan(change.action, change.input, expected.call)
        again = change.model_copy(update={"planned_change": planned_change})
        if again.digest == change.digest:
            return None
        return "the change would be another one now than the one that was evaluated then"

    async def _intend(self, expected: ExpectedState, effect: EffectRow) -> str | None:
        """Record the intent. Return why not; None: apply; empty: a release came first."""
        now, change = self._rt.clock(), expected.change
        async with self._rt.store.write() as session:
            await self._rt.store.serialize_limits(session)
            row = await lock_if_unchanged(session, expected, now)
            if row is None:
                return ""
            context = run_context(expected.run)
            verdict = await evaluate_change(session, change, context, now)
            if verdict.outcome is Verdict.DENY:
                return "; ".join(verdict.reasons)
            if verdict.outcome is Verdict.ASK or effect.approval_id is not None:
                request = expected.request(effect, context)
                if lack := await missing_approval(
                    session, request, verdict, now, effect_id=effect.id
                ):
                    return f"it needs an approval: {lack}"
            if wait := await missing_sink(self._rt, session):
                return str(wait)
            row.begin_reapplying(now + REAPPLY_PATIENCE)
            found = {"reason": "it is applied again"}
            intended = {
                "verdict": verdict.model_dump(mode="json"),
                "approval": effect.approval_id,
                "effect": effect.id,
            }
            await _record(session, EventKind.DRIFT_FOUND, expected, found, now)
            await _record(session, EventKind.DRIFT_INTENDED, expected, intended, now)
        return None

    async def _apply(self, expected: ExpectedState) -> None:
        """Apply and read back; after a lost reply, what the device shows decides.

        Raise ActionError, TimeoutError, Conflict.
        """
        connector, change = await self._connector(expected, Access.WRITE), expected.change
        failed: ActionError | TimeoutError | None = None
        try:
            async with asyncio.timeout(REAPPLY_TIME.total_seconds()):
                await connector.apply(change.action, change.planned_change, expected.call)
        except (ActionError, TimeoutError) as error:
            failed = error
        if not await self._is_in_force(expected):
            raise failed or Conflict("the device accepted it, but does not show it")
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await containments.lock(session, expected.key)
            if row is not None and row.drift is DriftState.REAPPLYING:
                await _record(session, EventKind.DRIFT_CORRECTED, expected, {}, now)
                await _mark_in_force(session, expected, row, now)

    async def _report(self, expected: ExpectedState, reason: str) -> None:
        """Record the drift and open a task, unless that was done before."""
        now, change = self._rt.clock(), expected.change
        async with self._rt.store.write() as session:
            row = await lock_if_unchanged(session, expected, now)
            if row is None or row.drift is DriftState.GONE:
                return
            row.mark_gone()
            await _record(session, EventKind.DRIFT_FOUND, expected, {"reason": reason}, now)
            policy = (await load_policy(session)).policy
            summary = (
                f"{change.connection} no longer shows {change.action} of {change.target}, "
                f"which should be in force; {reason}"
            )
            await tasks.open_task(
                session,
                kind=TaskKind.DRIFT,
                subject=expected.key,
                summary=summary,
                now=now,
                to_group=policy.drift.to or policy.releases.to,
            )


async def _mark_in_force(
    session: AsyncSession, expected: ExpectedState, row: ContainmentRow, now: datetime
) -> None:
    """Record that the device shows it; in the audit trail once an hour, and after a drift."""
    before = row.verified_at
    row.mark_verified(now)
    if before is None or row.drift is not None or _hour(before) != _hour(now):
        data = {"last": before}
        await _record(session, EventKind.CONTAINMENT_CHECKED, expected, data, now)
    if row.drift is not None:
        row.clear_drift()
        comment = "the device shows it again"
        await tasks.close_tasks(session, TaskKind.DRIFT, expected.key, "system", comment, now)


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // _HOUR)


async def _record(
    session: AsyncSession,
    kind: EventKind,
    expected: ExpectedState,
    data: Mapping[str, Any],
    now: datetime,
) -> None:
    change = expected.change
    context = {
        "path": expected.path,
        "containment": expected.key,
        "connection": change.connection,
        "target": str(change.target),
        "change_digest": change.digest,
    }
    await trail.record(
        session,
        kind,
        actor="system",
        subject=expected.run.id,
        data={**context, **data},
        now=now,
        event_id=trail.event_id(expected.key, kind, now),
    )
