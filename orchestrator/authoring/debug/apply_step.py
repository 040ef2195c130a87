"""How is one step of a draft carried out for real? By a live run of a plan that holds this step alone, like any other run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.containments.release import release
from orchestrator.contracts.messages import ActionCall
from orchestrator.contracts.question import Question
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Effect
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, NotFound, Unavailable
from orchestrator.domain.masking import masked
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import DEBUG, Mode, RunStatus
from orchestrator.playbook.compile.inputs import accept
from orchestrator.playbook.plan import Approve, InputField, Plan, Use
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import containments, records, runs, steps
from orchestrator.store.tables import AlertRow, PlaybookRow, RunRow

FIRST_VERSION = 1_000_000_000
"""Versions of single steps begin here, so that none is in the way of an author's own."""
LEASE_SECONDS = 3600
"""What a session applied is over then in any case, also when its process dies."""
_HELD = {Effect.CONTAIN, Effect.RESTORE}
_LOOK_SECONDS = 0.2


class Wish(Frozen):
    """Carry out this step with these inputs, for this person. `looked_up`: what the session asked systems about targets before."""

    draft: Plan
    step: Use
    call: ActionCall
    question: Question | None
    looked_up: tuple[tuple[Use, dict[str, Any]], ...] = ()
    alert_id: str | None
    session_id: str
    actor: str


async def start_step(rt: Runtime, client: Client | None, wish: Wish) -> str:
    """The id of the run. It is committed first, and begins even when Temporal is down now. Raises NotFound, Invalid."""
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {wish.draft.playbook}"])
        plan = _plan(wish, await _next_version(session, wish.draft.playbook))
        alert = await session.get(AlertRow, wish.alert_id) if wish.alert_id else None
        if wish.alert_id and alert is None:
            raise NotFound(f"there is no alert {wish.alert_id}")
        await records.add(session, _version(plan, wish, now))
        run = _run(plan, wish, alert, now)
        await runs.add(session, run)
        about = {
            "debug_session": wish.session_id,
            "draft_version": wish.draft.version,
            "draft_digest": wish.draft.digest,
        }
        published = {
            "version": plan.version,
            "digest": plan.digest,
            "stage": DEBUG,
            "path": wish.call.ref.path,
            **about,
        }
        await trail.record(
            session,
            EventKind.PLAYBOOK_PUBLISHED,
            actor=wish.actor,
            subject=plan.playbook,
            data=published,
            now=now,
        )
        told = {
            "playbook": run.playbook,
            "version": run.version,
            "playbook_digest": run.plan_digest,
            "mode": Mode.LIVE,
            **about,
        }
        created = {**told, "inputs": masked(run.inputs), "alert": wish.alert_id}
        await trail.record(
            session, EventKind.RUN_CREATED, actor=wish.actor, subject=run.id, data=created, now=now
        )
    if client is not None:
        await dispatch(rt, client, [run.id])
    return run.id


async def ended(rt: Runtime, run_id: str) -> tuple[RunStatus, str | None]:
    """How the run ended; waits until it has, also for people."""
    while True:
        async with rt.store.read() as session:
            run = await runs.get(session, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}")
        if not RunStatus(run.status).open:
            return RunStatus(run.status), run.error
        # A worker writes it, in another process, at times long after Temporal was down: nothing says when.
        await asyncio.sleep(_LOOK_SECONDS)


async def result_of(rt: Runtime, run_id: str, path: str) -> Any:
    """What the step came to, as later steps see it; what looks like a secret is masked in it."""
    async with rt.store.read() as session:
        row = await steps.get(session, run_id, path)
    return row.result if row else None


async def take_back(rt: Runtime, client: Client | None, run_id: str, actor: str) -> None:
    """Ends the run if it goes on, and all that it holds. The worker carries it out, also when Temporal is down now."""
    with suppress(
        Conflict, Unavailable
    ):  # it is over, as it mostly is; or its lease ends by itself
        await cancel_run(rt, client, run_id, actor=actor)
    async with rt.store.read() as session:
        leases = await containments.live_of_run(session, run_id)
    for lease in leases:
        await release(
            rt,
            client,
            lease.containment_key,
            lease=lease.id,
            actor=actor,
            reason="the debug session is over",
        )


def _plan(wish: Wish, version: int) -> Plan:
    """Everything evaluated comes as an input: as text of a plan, `${{ }}` in an alert would be evaluated once more."""
    looks = [
        _given(step, f"look_up_{number}", inputs)
        for number, (step, inputs) in enumerate(wish.looked_up, 1)
    ]
    own = _given(wish.step, "given", wish.call.input)
    step = own.model_copy(
        update={
            "approve": _approve(wish.question) if wish.question else None,
            "hold": LEASE_SECONDS if wish.step.effect in _HELD else None,
        }
    )
    looks = [
        each.model_copy(update={"id": f"look_up_{number}", "on_error": "continue"})
        for number, each in enumerate(looks, 1)
    ]
    fields = {
        "given": "object",
        **({"question": "text"} if wish.question else {}),
        **{each.id: "object" for each in looks},
    }
    return Plan(
        playbook=wish.draft.playbook,
        version=version,
        title=f"The step {wish.call.ref.path} of a draft, carried out in a debug session"[:200],
        owner=wish.draft.owner,
        inputs={name: InputField.model_validate({"type": kind}) for name, kind in fields.items()},
        limits=wish.draft.limits,
        steps=(*looks, step),
        on_failure="roll_back",
    )


def _given(step: Use, field: str, inputs: dict[str, Any]) -> Use:
    written = {name: f"${{{{ inputs.{field}.{name} }}}}" for name in inputs}
    return step.model_copy(
        update={"inputs": written, "when": None, "approve": None, "on_error": "fail"}
    )


def _approve(question: Question) -> Approve:
    return Approve(
        question="${{ inputs.question }}",
        by=question.by,
        quorum=question.quorum,
        within=question.within,
        otherwise=question.otherwise,
        escalate_to=question.escalate_to,
    )


async def _next_version(session: AsyncSession, name: str) -> int:
    found = await records.versions(session, name)
    return max([FIRST_VERSION - 1, *(row.version for row in found)]) + 1


def _version(plan: Plan, wish: Wish, now: datetime) -> PlaybookRow:
    return PlaybookRow(
        name=plan.playbook,
        version=plan.version,
        digest=plan.digest,
        title=plan.title,
        owner=plan.owner,
        plan=plan.model_dump(mode="json"),
        source="",
        published_at=now,
        published_by=wish.actor,
        retired=True,
        stage=DEBUG,
    )


def _run(plan: Plan, wish: Wish, alert: AlertRow | None, now: datetime) -> RunRow:
    given: dict[str, Any] = {
        "given": wish.call.input,
        **{f"look_up_{n}": inputs for n, (_, inputs) in enumerate(wish.looked_up, 1)},
    }
    return RunRow(
        id=new_id("run"),
        playbook=plan.playbook,
        version=plan.version,
        plan_digest=plan.digest,
        incident_id=alert.incident_id if alert else None,
        alert_id=alert.id if alert else None,
        source=alert.source if alert else None,
        severity=alert.severity if alert else 0,
        status=RunStatus.RUNNING,
        mode=Mode.LIVE,
        inputs=accept(
            plan.inputs, {**given, **({"question": wish.question.text} if wish.question else {})}
        ),
        started_by=wish.actor,
        created_at=now,
    )
