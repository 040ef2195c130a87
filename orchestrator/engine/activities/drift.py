"""The activity `check`: is what we hold still in force on the device? Gone, it is made again or people are told, as the policy says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.call import Call
from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.configuration.connections import open_connection_for
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.effect import Effect
from orchestrator.domain.errors import ActionError, Conflict, Invalid, NotFound, TocsinError
from orchestrator.domain.receipt import Change
from orchestrator.domain.run import Mode
from orchestrator.engine.activities.agreement import lack_of_agreement
from orchestrator.engine.activities.calling import bound_call, call_key
from orchestrator.engine.activities.failures import told_to_workflow
from orchestrator.engine.activities.judging import judged
from orchestrator.engine.activities.undoing import MENDING
from orchestrator.engine.activities.verifying import seen
from orchestrator.engine.activities.written import event_id
from orchestrator.engine.contracts import ActionCall, Activity, ApplyRequest, RunContext, StepRef, Verdict
from orchestrator.policy.facts import policy_in_force
from orchestrator.runtime import Runtime
from orchestrator.store import configured, containments, effects, matters, runs, steps
from orchestrator.store.tables import ConnectionRow, ContainmentRow, EffectRow, RunRow

LOOKS = (0.0, 0.3)
MENDING_TIME = timedelta(seconds=60)
"""What putting it on the device again may take."""
PATIENCE = timedelta(minutes=2)
"""How long a release waits for that; after it, the worker that was at it is taken for dead."""
_HOUR = 3600
DRIFT = "drift"
"""The kind of the matter."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What is to be looked for. `effect`: None where it was in force before us, and is left alone."""

    key: str
    change: Change
    run: RunRow
    path: str
    output: dict[str, Any]
    effect: EffectRow | None

    @property
    def call(self) -> Call:
        """The call of the step that made it, so that it is the same on the device."""
        key = call_key(self.run.id, self.path, self.change.action)
        reason = f"Tocsin {self.run.playbook} v{self.run.version}, run {self.run.id}, step {self.path}"
        return bound_call(self.run.id, self.path, key, reason)


class Checking:
    """Reads; changes only what was judged and agreed with before, is judged so again, and is held by a live lease at this moment."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.CHECK)
    async def check(self, key: str) -> None:
        """Reads the device, and records what it shows. A system that cannot be asked is asked again at the next check."""
        with told_to_workflow():
            async with self._rt.store.read() as session:
                held = await _found(session, key)
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

    async def _look(self, held: _Held) -> bool:
        connector = await self._open(held, Access.READ)
        change = held.change
        return await seen(lambda: connector.verify(change.action, change.input, change.receipt, held.output, held.call), LOOKS)

    async def _open(self, held: _Held, access: Access) -> Connector[Any]:
        connector = await open_connection_for(self._rt, held.change.connection, access)
        if connector.name != held.change.connector:
            raise Conflict(f"{held.change.connection} is a {connector.name} by now")
        return connector

    async def _in_force(self, held: _Held) -> None:
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await _locked(session, held)
            if row is not None:
                await _shown(session, held, row, now)

    async def _mend(self, held: _Held) -> str:
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

    async def _planned_again(self, held: _Held) -> str | None:
        """Only the very change that was judged and agreed with then may be made without asking."""
        connector = await self._open(held, Access.READ)
        receipt = await connector.plan(held.change.action, held.change.input, held.call)
        same = held.change.model_copy(update={"receipt": receipt}).digest == held.change.digest
        return None if same else "what would have to be done by now is another change than the one that was judged then"

    async def _intend(self, held: _Held, effect: EffectRow) -> str | None:
        """Committed before the call. None: go; a text: why not; empty where there is nothing to do any more, as it is being lifted."""
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            await self._rt.store.serialize_limits(session)
            row = await _locked(session, held)
            if row is None:
                return ""
            context = _context(held.run)
            judgement = await judged(session, held.change, context, now)
            if judgement.verdict is Verdict.DENY:
                return "; ".join(judgement.reasons)
            request = _request(held, effect, context)
            asked = judgement.verdict is Verdict.APPROVE or effect.approval_id is not None
            if asked and (lack := await lack_of_agreement(session, request, judgement)):
                return f"it takes an approval: {lack}"
            row.drift, row.retry_at = MENDING, now + PATIENCE
            await _tell(session, EventKind.DRIFT_FOUND, held, {"reason": "it is put in force again"}, now)
            told = {"judgement": judgement.model_dump(mode="json"), "approval": effect.approval_id, "effect": effect.id}
            await _tell(session, EventKind.DRIFT_INTENDED, held, told, now)
        return None

    async def _apply(self, held: _Held) -> None:
        """Raises ActionError, TimeoutError; after a lost reply, what the device shows decides."""
        connector = await self._open(held, Access.WRITE)
        failed: ActionError | TimeoutError | None = None
        try:
            async with asyncio.timeout(MENDING_TIME.total_seconds()):
                await connector.apply(held.change.action, held.change.receipt, held.call)
        except (ActionError, TimeoutError) as error:
            failed = error
        if not await self._look(held):
            raise failed or Conflict("the device took it, and does not show it")
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await containments.lock(session, held.key)
            if row is not None and row.drift == MENDING:
                await _tell(session, EventKind.DRIFT_MENDED, held, {}, now)
                await _shown(session, held, row, now)

    async def _report(self, held: _Held, reason: str) -> None:
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            row = await _locked(session, held)
            if row is None or row.drift == "gone":
                return
            row.drift, row.retry_at = "gone", None
            await _tell(session, EventKind.DRIFT_FOUND, held, {"reason": reason}, now)
            what = f"{held.change.connection} does not show {held.change.action} of {held.change.target} any more"
            await matters.open_matter(session, kind=DRIFT, subject=held.key, summary=f"{what}, which is to be in force; {reason}", now=now)


async def _found(session: AsyncSession, key: str) -> _Held | None:
    row = await containments.get(session, key)
    live = await containments.live(session, key)
    if row is None or row.state != "held" or not live:
        return None
    effect = await effects.get(session, row.effect_id) if row.ours and row.effect_id else None
    if row.ours and (effect is None or effect.state == "intended"):
        return None  # it is just being made, and is looked at by who makes it
    run = await runs.get(session, effect.run_id if effect else live[0].run_id)
    if run is None:
        return None
    if effect is not None:
        return _Held(key, Change.model_validate(effect.change), run, effect.path, effect.output or {}, effect)
    step = await steps.get(session, live[0].run_id, live[0].path)
    if step is None or step.receipt is None or step.inputs is None:
        return None
    change = await _was_there(session, row, step.inputs, step.receipt)
    return _Held(key, change, run, live[0].path, {}, None) if change else None


async def _was_there(session: AsyncSession, row: ContainmentRow, wish: dict[str, Any], receipt: dict[str, Any]) -> Change | None:
    """What a step found in force already, as it was planned."""
    connection = await configured.one(session, ConnectionRow, row.connection)
    if connection is None:
        return None
    given = {"connection": row.connection, "connector": connection.connector, "action": row.action, "effect": Effect.CONTAIN}
    return Change(**given, input=wish, receipt=receipt)


async def _locked(session: AsyncSession, held: _Held) -> ContainmentRow | None:
    """The containment, if it is still what was looked at, and held: a release that came in between has won."""
    row = await containments.lock(session, held.key)
    same = row is not None and row.state == "held" and (row.effect_id if row.ours else None) == (held.effect.id if held.effect else None)
    return row if same and await containments.live_count(session, held.key) else None


async def _shown(session: AsyncSession, held: _Held, row: ContainmentRow, now: datetime) -> None:
    """It is in force. Said in the trail once an hour, and when it is back."""
    before = row.verified_at
    row.verified_at = now
    if before is None or row.drift is not None or int(before.timestamp() // _HOUR) != int(now.timestamp() // _HOUR):
        await _tell(session, EventKind.CONTAINMENT_CHECKED, held, {"last": before}, now)
    if row.drift is not None:
        row.drift, row.retry_at = None, None
        await matters.close_matters(session, DRIFT, held.key, "system", "the device shows it again", now)


async def _tell(session: AsyncSession, kind: EventKind, held: _Held, told: dict[str, Any], now: datetime) -> None:
    change = held.change
    about = {"path": held.path, "containment": held.key, "connection": change.connection, "target": str(change.target)}
    data = {**about, "change_digest": change.digest, **told}
    id_ = event_id(held.key, kind, now)
    await trail.record(session, kind, actor="system", subject=held.run.id, data=data, now=now, event_id=id_)


def _context(run: RunRow) -> RunContext:
    return RunContext(
        run_id=run.id,
        attempt=run.attempt,
        playbook=run.playbook,
        version=run.version,
        plan_digest=run.plan_digest,
        mode=Mode(run.mode),
        source=run.source,
        severity=run.severity,
        started_by=run.started_by,
        incident_id=run.incident_id,
    )


def _request(held: _Held, effect: EffectRow, run: RunContext) -> ApplyRequest:
    change = held.change
    call = ActionCall(
        ref=StepRef(run=run, path=held.path, seq=effect.seq),
        connection=change.connection,
        capability="",
        action=change.action,
        effect=change.effect,
        input=change.input,
    )
    return ApplyRequest(call=call, change=change, approval_id=effect.approval_id)
