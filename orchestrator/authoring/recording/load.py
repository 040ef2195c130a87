"""The evidence of a run that ended, read from the store in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.decision_reply import decision_of
from orchestrator.authoring.recording.case import ActionRecord, DecisionRecord, RunEvidence
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.run import Mode, StepFailure, StepState
from orchestrator.playbook.plan import Plan, Use, Wait, walk, without_rounds
from orchestrator.policy.document import DEFAULT_POLICY, parse_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, effects, policy_inputs, runs, steps
from orchestrator.store.tables import (
    ApprovalRow,
    EffectRow,
    PlaybookRow,
    PolicyRow,
    RunRow,
    StepRow,
)

_NOT_DONE = {
    StepState.SKIPPED,
    StepState.INTERRUPTED,
    StepState.UNDETERMINED,
    StepState.WAITING,
    StepState.RUNNING,
}
_APPLIED = {StepState.APPLIED, StepState.VERIFIED, StepState.UNDONE, StepState.RELEASED}
_IN_FORCE = {"applied", "verified", "undone"}
_DECIDED = {"approved", "declined", "expired"}
_KNOWN_AS = ("host", "user", "address", "domain", "email")
_MOST_NAMES = 500
_LONGEST_NAME = 255


async def load_evidence(rt: Runtime, run_id: str) -> tuple[RunEvidence, PlaybookRow]:
    """Return the evidence of a run, and the version that ran. Raises NotFound, Conflict."""
    async with rt.store.read() as session:
        run = await runs.get(session, run_id)
        if run is None:
            raise NotFound(f"run {run_id} does not exist")
        if run.mode != Mode.LIVE:
            raise Conflict(
                f"run {run_id} was a dry run, which asks no one and changes nothing; "
                "record a live run"
            )
        version = await runs.get_playbook(session, run.playbook, run.version)
        if version is None or version.digest != run.plan_digest:
            raise Conflict(
                f"{run.playbook} version {run.version} in the store differs from the plan "
                f"of run {run_id}"
            )
        plan = Plan.model_validate(version.plan)
        rows = await steps.of_run(session, run_id)
        alert = await runs.get_alert(session, run_id)
        actions = list(_actions(rows, plan, await _effects(session, run_id), run))
        found = RunEvidence(
            run_id=run_id,
            status=run.status,
            plan=plan,
            alert=alert.view if alert else None,
            inputs=run.inputs,
            later=list(_later(rows, plan, run)),
            actions=actions,
            decisions=await _decisions(session, run_id),
            assets=await _assets(
                session,
                [
                    alert.view if alert else None,
                    run.inputs,
                    *(each.model_dump(mode="json") for each in actions),
                ],
            ),
            policy=await _policy(session, rows),
            notes=["the run was retried; the case shows its last attempt as one run"]
            if run.attempt > 1
            else [],
        )
    return found, version


def _actions(
    rows: Sequence[StepRow], plan: Plan, effects: Mapping[str, EffectRow], run: RunRow
) -> Iterator[ActionRecord]:
    uses = {path: step for path, step in walk(plan) if isinstance(step, Use)}
    for row in rows:
        step = uses.get(without_rounds(row.path))
        if step is None or row.state in _NOT_DONE:
            continue
        effect = effects.get(row.path)
        changed = step.effect.changes and (row.planned_change or {}).get("changed", True)
        applied = changed and (
            row.state in _APPLIED or (effect is not None and effect.state in _IN_FORCE)
        )
        undone = effect is not None and effect.state == "undone" and _ended_within(effect, run)
        yield ActionRecord(
            path=row.path,
            connection=step.connection,
            capability=step.capability,
            action=step.action,
            effect=step.effect,
            inputs=row.inputs or {},
            result=row.result,
            planned_change=row.planned_change,
            error=row.error,
            applied=applied,
            undone=applied and undone,
            failed=row.state == StepState.FAILED,
            not_verified=row.failure is StepFailure.NOT_VERIFIED,
        )


def _ended_within(effect: EffectRow, run: RunRow) -> bool:
    """Return whether the effect ended during the run, rather than with a later lease."""
    return (
        effect.ended_at is not None and run.ended_at is not None and effect.ended_at <= run.ended_at
    )


def _later(
    rows: Sequence[StepRow], plan: Plan, run: RunRow
) -> Iterator[tuple[int, dict[str, Any]]]:
    waits = {path for path, step in walk(plan) if isinstance(step, Wait)}
    for row in rows:
        event = (
            row.result.get("event")
            if without_rounds(row.path) in waits and isinstance(row.result, Mapping)
            else None
        )
        if isinstance(event, dict):
            yield (
                max(1, int(((row.ended_at or row.started_at) - run.created_at).total_seconds())),
                event,
            )


async def _effects(session: AsyncSession, run_id: str) -> dict[str, EffectRow]:
    """Return the newest effect of each step."""
    return {row.path: row for row in await effects.of_run(session, run_id)}


async def _decisions(session: AsyncSession, run_id: str) -> list[DecisionRecord]:
    """Return the questions in order, without those that ended with the run or were replaced."""
    rows = await approvals.list_of_run(session, run_id, _DECIDED)
    answers = await approvals.list_decisions(session, [row.id for row in rows])
    return [
        _answer(row, decision_of(row, [each for each in answers if each.approval_id == row.id]))
        for row in rows
    ]


def _answer(row: ApprovalRow, decided: Any) -> DecisionRecord:
    changes = {
        change["digest"]: ActionRecord(
            path=row.path,
            connection=change["connection"],
            capability="",
            action=change["action"],
            effect=Effect(change["effect"]),
            inputs=change["input"],
            planned_change=change["planned_change"],
        )
        for change in row.changes
    }
    form = decided.form if row.kind == "form" else None
    return DecisionRecord(
        question=row.question,
        state=decided.state,
        changes=changes,
        approved=decided.approved_changes,
        form=form,
    )


async def _assets(session: AsyncSession, values: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what the inventory says about the run's names.

    An inventory that knows none of them becomes one that knows something else.
    """
    texts = (text.lower() for text in _texts(values) if len(text) <= _LONGEST_NAME)
    names = list(dict.fromkeys(texts))[:_MOST_NAMES]
    pairs = [(kind, name) for kind in _KNOWN_AS for name in names]
    found = {
        (each.type, each.value): each
        for each in await policy_inputs.find_assets(session, pairs, pairs)
    }
    if not found and await policy_inputs.has_assets(session):
        return [{"type": "host", "value": "another-host"}]
    return [
        {
            "type": each.type,
            "value": each.value,
            "kind": each.kind,
            "critical": each.critical,
            "tags": list(each.tags),
            "also": [value for _, value in each.also],
        }
        for each in found.values()
    ]


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for each in values:
        match each:
            case str():
                yield each
            case Mapping():
                yield from _texts(each.values())
            case list() | tuple():
                yield from _texts(each)


async def _policy(session: AsyncSession, rows: Sequence[StepRow]) -> str | None:
    """Return the text of the policy that evaluated the run; None for the one that ships."""
    version = next(
        (
            row.verdict["policy_version"]
            for row in rows
            if row.verdict and row.verdict.get("policy_version")
        ),
        None,
    )
    row = await session.get(PolicyRow, version) if version else None
    if row is None or not row.source or row.digest == parse_policy(DEFAULT_POLICY).digest:
        return None
    return row.source
