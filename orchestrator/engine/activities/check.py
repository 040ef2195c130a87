"""The activity `check`: is what we hold still in force on the device? Gone, it is made again or people are told, as the policy says."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access
from orchestrator.approvals.coverage import lack_of_agreement
from orchestrator.audit import trail
from orchestrator.connections.connections import open_connection_for
from orchestrator.connections.write_guard_audit import attempts_noted
from orchestrator.containments.expected_state import Held, find_held, still_held
from orchestrator.containments.release_gate import MENDING
from orchestrator.contracts.messages import Activity, Verdict
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import ActionError, Conflict, Invalid, NotFound, TocsinError
from orchestrator.engine.activities.evaluate import evaluate_change
from orchestrator.engine.activities.verify import seen
from orchestrator.engine.run_context import context_of
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.incidents import tasks
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, EffectRow

LOOKS = (0.0, 0.3)
MENDING_TIME = timedelta(seconds=60)
"""What putting it on the device again may take."""
PATIENCE = timedelta(minutes=2)
"""How long a release waits for that; after it, the worker that was at it is taken for dead."""
_HOUR = 3600
DRIFT = "drift"
"""The kind of the task."""


class Checking:
    """Reads; changes only what was judged and agreed with before, is judged so again, and is held by a live lease at this moment."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.CHECK)
    async def check(self, key: str) -> None:
        """Reads the device, and records what it shows. A system that cannot be asked is asked again at the next check."""
        with told_to_workflow():
            async with self._rt.store.read() as session:
                held = await find_held(session, key)
            if held is None:
                return
            try:
                there = await self._look(held)
            except (ActionError, NotFound, Invalid, Conflict):
                return  # `verified_at` stays as old as it is, for all to see
            if there:
                await self._in_force(held)
            elif reason := await self._mend(held):
                await self._report(held, reason)  # empty: it is mended, or released in the meantime

    async def _look(self, held: Held) -> bool:
        connector = await self._open(held, Access.READ)
        change = held.change
        async with attempts_noted(
            self._rt, change.connection, f"whether {change.action} is in force", held.run.id
        ):
            return await seen(
                lambda: connector.verify(
                    change.action, change.input, change.planned_change, held.output, held.call
                ),
                LOOKS,
            )

    async def _open(self, held: Held, access: Access) -> Connector[Any]:
        connector = await open_connection_for(self._rt, held.change.connection, access)
        if connector.name != held.change.connector:
            raise Conflict(f"{held.change.connection} is a {connector.name} by now")
        return connector

    async def _in_force(self, held: Held) -> None:
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await still_held(session, held)
            if row is not None:
                await _shown(session, held, row, now)

    async def _mend(self, held: Held) -> str:
        """Puts it in force again where that may be done; else why not. Empty: nothing is to be reported."""
        async with self._rt.store.read() as session:
            if (await policy_in_force(session)).policy.drift.then != "reapply":
                return "the policy has it reported"
        if held.effect is None:
            return "it was in force before us, so it is not ours to make"
        if held.change.effect is not Effect.CONTAIN:
            return "only what contains is put in force again"
        try:
            refused = await self._planned_again(held) or await self._intend(held, held.effect)
            if refused is None:
                await self._apply(held)
        except (TocsinError, TimeoutError) as error:
            return f"it could not be put in force again: {error or 'it took too long'}"
        return refused or ""

    async def _planned_again(self, held: Held) -> str | None:
        """Only the very change that was judged and agreed with then may be made without asking."""
        connector = await self._open(held, Access.READ)
        async with attempts_noted(
            self._rt, held.change.connection, f"to plan {held.change.action} anew", held.run.id
        ):
            planned_change = await connector.plan(held.change.action, held.change.input, held.call)
        same = (
            held.change.model_copy(update={"planned_change": planned_change}).digest
            == held.change.digest
        )
        return (
            None
            if same
            else "what would have to be done by now is another change than the one that was judged then"
        )

    async def _intend(self, held: Held, effect: EffectRow) -> str | None:
        """Committed before the call. None: go; a text: why not; empty where there is nothing to do any more, as it is being lifted."""
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            await self._rt.store.serialize_limits(session)
            row = await still_held(session, held)
            if row is None:
                return ""
            context = context_of(held.run)
            verdict = await evaluate_change(session, held.change, context, now)
            if verdict.outcome is Verdict.DENY:
                return "; ".join(verdict.reasons)
            request = held.request(effect, context)
            asked = verdict.outcome is Verdict.ASK or effect.approval_id is not None
            if asked and (lack := await lack_of_agreement(session, request, verdict)):
                return f"it takes an approval: {lack}"
            row.drift, row.retry_at = MENDING, now + PATIENCE
            await _tell(
                session, EventKind.DRIFT_FOUND, held, {"reason": "it is put in force again"}, now
            )
            told = {
                "verdict": verdict.model_dump(mode="json"),
                "approval": effect.approval_id,
                "effect": effect.id,
            }
            await _tell(session, EventKind.DRIFT_INTENDED, held, told, now)
        return None

    async def _apply(self, held: Held) -> None:
        """Raises ActionError, TimeoutError; after a lost reply, what the device shows decides."""
        connector = await self._open(held, Access.WRITE)
        failed: ActionError | TimeoutError | None = None
        try:
            async with asyncio.timeout(MENDING_TIME.total_seconds()):
                await connector.apply(held.change.action, held.change.planned_change, held.call)
        except (ActionError, TimeoutError) as error:
            failed = error
        if not await self._look(held):
            raise failed or Conflict("the device took it, and does not show it")
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await containments.lock(session, held.key)
            if row is not None and row.drift == MENDING:
                await _tell(session, EventKind.DRIFT_CORRECTED, held, {}, now)
                await _shown(session, held, row, now)

    async def _report(self, held: Held, reason: str) -> None:
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await still_held(session, held)
            if row is None or row.drift == "gone":
                return
            row.drift, row.retry_at = "gone", None
            await _tell(session, EventKind.DRIFT_FOUND, held, {"reason": reason}, now)
            what = f"{held.change.connection} does not show {held.change.action} of {held.change.target} any more"
            policy = (await policy_in_force(session)).policy
            told, group = (
                f"{what}, which is to be in force; {reason}",
                policy.drift.to or policy.releases.to,
            )
            await tasks.open_task(
                session, kind=DRIFT, subject=held.key, summary=told, now=now, to_group=group
            )


async def _shown(session: AsyncSession, held: Held, row: ContainmentRow, now: datetime) -> None:
    """It is in force. Said in the trail once an hour, and when it is back."""
    before = row.verified_at
    row.verified_at = now
    if (
        before is None
        or row.drift is not None
        or int(before.timestamp() // _HOUR) != int(now.timestamp() // _HOUR)
    ):
        await _tell(session, EventKind.CONTAINMENT_CHECKED, held, {"last": before}, now)
    if row.drift is not None:
        row.drift, row.retry_at = None, None
        await tasks.close_tasks(
            session, DRIFT, held.key, "system", "the device shows it again", now
        )


async def _tell(
    session: AsyncSession, kind: EventKind, held: Held, told: dict[str, Any], now: datetime
) -> None:
    change = held.change
    about = {
        "path": held.path,
        "containment": held.key,
        "connection": change.connection,
        "target": str(change.target),
    }
    data = {**about, "change_digest": change.digest, **told}
    id_ = trail.event_id(held.key, kind, now)
    await trail.record(
        session, kind, actor="system", subject=held.run.id, data=data, now=now, event_id=id_
    )
