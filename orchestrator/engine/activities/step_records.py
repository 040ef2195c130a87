"""Step records: a step's row from its beginning, and its audit events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.guard import WriteRefused
from orchestrator.audit import trail
from orchestrator.contracts.change import StepCall
from orchestrator.contracts.run import StepRecord, StepRef
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.change import Change, PolicyVerdict
from orchestrator.domain.digest import digest, input_digest
from orchestrator.domain.errors import Busy, Unavailable
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import StepState, WaitingFor, WaitingForRetry, WaitingForTarget
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.engine.temporal.retries import pause_after
from orchestrator.runtime import Runtime
from orchestrator.store.paging import to_iso
from orchestrator.store.queries import steps
from orchestrator.store.tables import StepRow

SHOWN_AFTER = 0.2
"""Seconds until a step that is under way is recorded. A faster one is recorded once, at its end."""


def step_event(
    ref: StepRef, kind: EventKind, data: Mapping[str, Any], now: datetime, *parts: object
) -> Event:
    """Return an event about a step. `parts` tell it from others of its kind, so that a retry
    records it once.
    """  # noqa: D205
    run = ref.run
    context = {
        "path": ref.path,
        "attempt": run.attempt,
        "playbook": run.playbook,
        "version": run.version,
        "playbook_digest": run.plan_digest,
    }
    return trail.event(
        kind,
        actor=f"run:{run.run_id}",
        subject=run.run_id,
        data={**context, **mask_secrets(data)},
        now=now,
        event_id=trail.event_id(run.run_id, ref.path, run.attempt, kind, *parts),
    )


def verdict_record(verdict: PolicyVerdict, at: datetime) -> dict[str, Any]:
    """Return a verdict as a step keeps it. `at`: when the device was read for it."""
    return {**verdict.model_dump(mode="json"), "read_at": to_iso(at)}


def read_at(step: StepRow) -> datetime:
    """Return when a step last read the device."""
    at = (step.verdict or {}).get("read_at")
    return datetime.fromisoformat(at) if at else step.started_at


def change_data(change: Change) -> dict[str, Any]:
    """Return a change and its digest, as an event holds them."""
    return {**change.model_dump(mode="json"), "change_digest": change.digest}


async def save_step(
    session: AsyncSession,
    call: StepCall,
    state: StepState,
    started: datetime,
    now: datetime,
    **columns: Any,
) -> None:
    """Write the row of an action's step, and those of the steps that began before it."""
    await begin_steps(session, call.begun, now)
    row = {
        "run_id": call.ref.run.run_id,
        "path": call.ref.path,
        "kind": "use",
        "state": state,
        "seq": call.ref.seq,
        "attempt": call.ref.run.attempt,
        "connection": call.connection,
        "action": call.action,
        "inputs": mask_secrets(call.input),
        "inputs_digest": input_digest(call.connection, call.action, call.input),
        "started_at": started,
        "ended_at": now if state.is_final else None,
        "error": None,
        "failure": None,
        **columns,
    }
    await steps.save(session, [row])


async def begin_steps(session: AsyncSession, records: Sequence[StepRecord], now: datetime) -> None:
    """Write the rows of steps that began, such as blocks."""
    await steps.begin(session, [step_row(record, now) for record in records])


def step_row(record: StepRecord, now: datetime) -> dict[str, Any]:
    """Return the row of a step as its run reports it."""
    began = record.began_at or now
    row: dict[str, Any] = {
        "run_id": record.ref.run.run_id,
        "path": record.ref.path,
        "kind": record.kind,
        "state": record.state,
        "seq": record.ref.seq,
        "attempt": record.ref.run.attempt,
        "error": record.error,
        "failure": record.failure,
        "waiting_for": record.waiting_for and record.waiting_for.model_dump(mode="json"),
        "started_at": began,
        "ended_at": max(began, now) if record.state.is_final else None,
    }
    optional = {
        "connection": record.connection,
        "action": record.action,
        "inputs": record.inputs,
        "result": record.result,
        "asked": record.asked,
    }
    masked = {name: mask_secrets(value) for name, value in optional.items() if value is not None}
    return row | masked


@asynccontextmanager
async def fail_step_on_write(rt: Runtime, call: StepCall) -> AsyncIterator[None]:
    """Record a refused write attempt within the block as the step's failure, and raise it again."""
    started = rt.clock()
    try:
        yield
    except WriteRefused as refused:
        now, error = rt.clock(), str(refused)
        data = {
            "connection": call.connection,
            "action": call.action,
            "attempt_refused": error,
            "mode": call.ref.run.mode,
        }
        kind = EventKind.STEP_WRITE_REFUSED
        async with rt.store.write() as session:
            await save_step(session, call, StepState.FAILED, started, now, error=error)
            await trail.record_all(
                session, [step_event(call.ref, kind, data, now, digest(error), started)]
            )
        raise


@asynccontextmanager
async def step_progress(rt: Runtime, call: StepCall) -> AsyncIterator[None]:
    """Record the step as running, and after `Unavailable` when it is tried again.

    Errors leave the block as Temporal's, see `translate_errors`.
    """
    began, ended = rt.clock(), asyncio.Event()
    with translate_errors():
        showing = asyncio.create_task(_show_later(rt, call, began, ended))
        try:
            yield
        except Unavailable as error:
            ended.set()
            await showing
            await _record_wait(rt, call, error, began)
            raise
        finally:
            ended.set()
            await showing


async def _show_later(rt: Runtime, call: StepCall, began: datetime, ended: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(ended.wait(), SHOWN_AFTER)
    except TimeoutError:
        with suppress(SQLAlchemyError):  # only for display; the end of the step is recorded
            async with rt.store.write() as session:
                row = await steps.get(session, call.ref.run.run_id, call.ref.path)
                if row is None or row.attempt != call.ref.run.attempt:
                    await save_step(session, call, StepState.RUNNING, began, began)
                else:
                    row.resume()


async def _record_wait(rt: Runtime, call: StepCall, error: Unavailable, began: datetime) -> None:
    info = activity.info()
    attempt = call.earlier_tries + info.attempt
    if attempt >= call.retry.attempts:
        return  # it was the last try
    now = rt.clock()
    retry_at = now + _pause(call, error, info)
    waiting = (
        WaitingForTarget(reason=str(error), run_id=error.run_id, retry_at=retry_at)
        if isinstance(error, Busy)
        else WaitingForRetry(
            error=str(error), attempt=attempt, attempts=call.retry.attempts, retry_at=retry_at
        )
    )
    with suppress(SQLAlchemyError):  # as above
        async with rt.store.write() as session:
            await _save_wait(session, call, waiting, began)


async def record_busy(
    session: AsyncSession, call: StepCall, reason: str, run_id: str | None, now: datetime
) -> None:
    """Record that another change of the target has to end before the step goes on."""
    waiting = WaitingForTarget(reason=reason, run_id=run_id, retry_at=None)
    await _save_wait(session, call, waiting, now)


async def _save_wait(
    session: AsyncSession, call: StepCall, waiting: WaitingFor, began: datetime
) -> None:
    row = await steps.get(session, call.ref.run.run_id, call.ref.path)
    if row is None or row.attempt != call.ref.run.attempt:
        document = waiting.model_dump(mode="json")
        await save_step(session, call, StepState.WAITING, began, began, waiting_for=document)
    else:
        row.wait_for(waiting)


def _pause(call: StepCall, error: Unavailable, info: activity.Info) -> timedelta:
    if info.is_local:
        return max(error.retry_after or timedelta(), timedelta(seconds=call.retry.wait))
    return error.retry_after or pause_after(call.retry, info.attempt)
