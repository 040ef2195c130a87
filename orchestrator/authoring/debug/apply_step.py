"""The run that applies one step of a draft: a live run of a plan that holds this step alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.contracts.approval import Question
from orchestrator.contracts.debug import ApplyStepRequest
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import NotFound
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import DEBUG, Mode
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.plan import Approve, EvidenceItem, InputField, Plan, Use
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import records, runs
from orchestrator.store.tables import AlertRow, PlaybookRow, RunRow

FIRST_VERSION = 1_000_000_000
"""Versions of single steps begin here, out of the way of an author's versions."""
LEASE_SECONDS = 3600
"""The lease of an applied step, which ends even if the session is lost."""
_HELD = {Effect.CONTAIN, Effect.RESTORE}


async def start_step(rt: Runtime, request: ApplyStepRequest) -> None:
    """Commit the version and the run of a step. Idempotent. Raises NotFound, Invalid."""
    now = rt.clock()
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [f"playbook {request.draft.playbook}"])
        if await runs.get(session, request.run_id) is not None:
            return
        plan = _plan(request, await _next_version(session, request.draft.playbook))
        alert = await session.get(AlertRow, request.alert_id) if request.alert_id else None
        if request.alert_id and alert is None:
            raise NotFound(f"alert {request.alert_id} does not exist")
        await records.add(session, _version(plan, request, now))
        run = _run(plan, request, alert, now)
        await runs.add(session, run)
        await _audit(session, plan, run, request, now)


async def _audit(
    session: AsyncSession, plan: Plan, run: RunRow, request: ApplyStepRequest, now: datetime
) -> None:
    about = {
        "debug_session": request.session_id,
        "draft_version": request.draft.version,
        "draft_digest": request.draft.digest,
    }
    published = {
        "version": plan.version,
        "digest": plan.digest,
        "stage": DEBUG,
        "path": request.call.ref.path,
        **about,
    }
    await trail.record(
        session,
        EventKind.PLAYBOOK_PUBLISHED,
        actor=request.actor,
        subject=plan.playbook,
        data=published,
        now=now,
    )
    created = {
        "playbook": run.playbook,
        "version": run.version,
        "playbook_digest": run.plan_digest,
        "mode": Mode.LIVE,
        **about,
        "inputs": mask_secrets(run.inputs),
        "alert": request.alert_id,
    }
    await trail.record(
        session, EventKind.RUN_CREATED, actor=request.actor, subject=run.id, data=created, now=now
    )


def _plan(request: ApplyStepRequest, version: int) -> Plan:
    """Return the plan of the step alone.

    All evaluated values are inputs: in the text of a plan, `${{ }}` in an alert would be evaluated.
    """
    look_ups = [
        _from_input(step, f"look_up_{number}", inputs).model_copy(
            update={"id": f"look_up_{number}", "on_error": "continue"}
        )
        for number, (step, inputs) in enumerate(request.looked_up, 1)
    ]
    step = _from_input(request.step, "given", request.call.input).model_copy(
        update={
            "approve": _approve(request.question) if request.question else None,
            "hold": LEASE_SECONDS if request.step.effect in _HELD else None,
        }
    )
    fields = {
        "given": "object",
        **({"question": "text", "evidence": "list"} if request.question else {}),
        **{each.id: "object" for each in look_ups},
    }
    return Plan(
        playbook=request.draft.playbook,
        version=version,
        title=f"The step {request.call.ref.path} of a draft, applied in a debug session"[:200],
        owner=request.draft.owner,
        inputs={name: InputField.model_validate({"type": kind}) for name, kind in fields.items()},
        limits=request.draft.limits,
        steps=(*look_ups, step),
        on_failure="roll_back",
    )


def _from_input(step: Use, field: str, inputs: dict[str, Any]) -> Use:
    """Return the step with its inputs taken from an input of the run, without conditions."""
    templates = {name: f"${{{{ inputs.{field}.{name} }}}}" for name in inputs}
    return step.model_copy(
        update={"inputs": templates, "when": None, "approve": None, "on_error": "fail"}
    )


def _approve(question: Question) -> Approve:
    return Approve(
        # Without a text, it is made from the planned changes.
        question="${{ inputs.question }}" if question.text else None,
        evidence=tuple(
            EvidenceItem(label=row.label, value=f"${{{{ inputs.evidence[{number}] }}}}")
            for number, row in enumerate(question.evidence)
        ),
        by=question.by,
        quorum=question.quorum,
        within=question.within,
        otherwise=question.otherwise,
        escalate_to=question.escalate_to,
    )


def _asked(question: Question) -> dict[str, Any]:
    return {"question": question.text, "evidence": [row.value for row in question.evidence]}


async def _next_version(session: AsyncSession, name: str) -> int:
    found = await records.versions(session, name)
    return max([FIRST_VERSION - 1, *(row.version for row in found)]) + 1


def _version(plan: Plan, request: ApplyStepRequest, now: datetime) -> PlaybookRow:
    return PlaybookRow(
        name=plan.playbook,
        version=plan.version,
        digest=plan.digest,
        title=plan.title,
        owner=plan.owner,
        plan=plan.model_dump(mode="json"),
        source="",
        published_at=now,
        published_by=request.actor,
        retired=True,
        stage=DEBUG,
    )


def _run(plan: Plan, request: ApplyStepRequest, alert: AlertRow | None, now: datetime) -> RunRow:
    given: dict[str, Any] = {
        "given": request.call.input,
        **{f"look_up_{n}": inputs for n, (_, inputs) in enumerate(request.looked_up, 1)},
        **(_asked(request.question) if request.question else {}),
    }
    return RunRow.begin(
        id=request.run_id,
        playbook=plan.playbook,
        version=plan.version,
        plan_digest=plan.digest,
        alert=alert,
        inputs=accept_inputs(plan.inputs, given),
        started_by=request.actor,
        now=now,
    )
