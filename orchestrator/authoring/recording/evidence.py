"""What does the store hold of a run that ended? All that a case of tests.yaml is made of, read in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.decision_reply import decision_of
from orchestrator.authoring.recording.case import Answered, Did, Evidence
from orchestrator.authoring.rehearsal.coverage import plain, steps_of
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.run import Mode, StepState
from orchestrator.playbook.plan import Plan, Use, Wait
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

_CAME_TO_NOTHING = {StepState.SKIPPED, StepState.WAITING}
_MADE = {StepState.APPLIED, StepState.VERIFIED, StepState.UNDONE, StepState.RELEASED}
_IN_FORCE = {"applied", "verified", "undone"}
_ANSWERED = {"approved", "declined", "expired"}
_KNOWN_AS = ("host", "user", "address", "domain", "email")
_MOST_NAMES = 500


async def evidence_of(rt: Runtime, run_id: str) -> tuple[Evidence, PlaybookRow]:
    """What is known of a run, and the version that ran. Raises NotFound, Conflict (a dry run)."""
    async with rt.store.read() as session:
        run = await runs.get(session, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}")
        if run.mode != Mode.LIVE:
            raise Conflict(
                f"run {run_id} was a dry run, which asks nobody and changes nothing; record a live one"
            )
        version = await runs.playbook(session, run.playbook, run.version)
        if version is None or version.digest != run.plan_digest:
            raise Conflict(
                f"{run.playbook} version {run.version} is not in the store as it was when run {run_id} was made"
            )
        plan = Plan.model_validate(version.plan)
        rows = await steps.of_run(session, run_id)
        alert = await runs.alert_of(session, run_id)
        did = list(_did(rows, plan, await _effects(session, run_id), run))
        found = Evidence(
            run_id=run_id,
            status=run.status,
            plan=plan,
            alert=alert.view if alert else None,
            inputs=run.inputs,
            later=list(_later(rows, plan, run)),
            did=did,
            answered=await _answered(session, run_id),
            assets=await _assets(
                session,
                [
                    alert.view if alert else None,
                    run.inputs,
                    *(each.model_dump(mode="json") for each in did),
                ],
            ),
            policy=await _policy(session, rows),
            notes=["the run was retried; the case tells its last attempt as one run"]
            if run.attempt > 1
            else [],
        )
    return found, version


def _did(
    rows: Sequence[StepRow], plan: Plan, effects: Mapping[str, EffectRow], run: RunRow
) -> Iterator[Did]:
    uses = {path: step for path, step in steps_of(plan) if isinstance(step, Use)}
    for row in rows:
        step = uses.get(plain(row.path))
        if step is None or row.state in _CAME_TO_NOTHING:
            continue
        effect = effects.get(row.path)
        changed = step.effect.changes and (row.planned_change or {}).get("changed", True)
        made = changed and (
            row.state in _MADE or (effect is not None and effect.state in _IN_FORCE)
        )
        back = effect is not None and effect.state == "undone" and _within(effect, run)
        yield Did(
            path=row.path, connection=step.connection, capability=step.capability, action=step.action, effect=step.effect,
            inputs=row.inputs or {}, result=row.result, planned_change=row.planned_change, error=row.error, applied=made, undone=made and back,
            failed=row.state == StepState.FAILED,
        )  # fmt: skip


def _within(effect: EffectRow, run: RunRow) -> bool:
    """Whether it ended while the run went on; a lease that ended later is no part of it."""
    return (
        effect.ended_at is not None and run.ended_at is not None and effect.ended_at <= run.ended_at
    )


def _later(
    rows: Sequence[StepRow], plan: Plan, run: RunRow
) -> Iterator[tuple[int, dict[str, Any]]]:
    waits = {path for path, step in steps_of(plan) if isinstance(step, Wait)}
    for row in rows:
        event = (
            row.result.get("event")
            if plain(row.path) in waits and isinstance(row.result, Mapping)
            else None
        )
        if isinstance(event, dict):
            yield (
                max(1, int(((row.ended_at or row.started_at) - run.created_at).total_seconds())),
                event,
            )


async def _effects(session: AsyncSession, run_id: str) -> dict[str, EffectRow]:
    """The newest of each step."""
    return {row.path: row for row in await effects.of_run(session, run_id)}


async def _answered(session: AsyncSession, run_id: str) -> list[Answered]:
    """Questions in the order in which they were put; those that ended with their run, or were asked anew, are none of a case."""
    rows = await approvals.of_run(session, run_id, _ANSWERED)
    answers = await approvals.answers(session, [row.id for row in rows])
    return [
        _answer(row, decision_of(row, [each for each in answers if each.approval_id == row.id]))
        for row in rows
    ]


def _answer(row: ApprovalRow, decided: Any) -> Answered:
    changes = {
        change["digest"]: Did(
            path=row.path, connection=change["connection"], capability="", action=change["action"], effect=Effect(change["effect"]),
            inputs=change["input"], planned_change=change["planned_change"],
        )
        for change in row.changes
    }  # fmt: skip
    form = decided.form if row.kind == "form" else None
    return Answered(
        question=row.question,
        state=decided.state,
        changes=changes,
        agreed=decided.approved_changes,
        form=form,
    )


async def _assets(session: AsyncSession, told: Iterable[Any]) -> list[dict[str, Any]]:
    """What the inventory says of the run's own names. One that knows none of them is told as one that knows something else."""
    names = list(dict.fromkeys(text.lower() for text in _texts(told) if len(text) <= 255))[
        :_MOST_NAMES
    ]
    pairs = [(kind, name) for kind in _KNOWN_AS for name in names]
    found = {
        (each.type, each.value): each for each in await policy_inputs.assets(session, pairs, pairs)
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
        }
        for each in found.values()
    ]


def _texts(told: Iterable[Any]) -> Iterator[str]:
    for each in told:
        match each:
            case str():
                yield each
            case Mapping():
                yield from _texts(each.values())
            case list() | tuple():
                yield from _texts(each)


async def _policy(session: AsyncSession, rows: Sequence[StepRow]) -> str | None:
    """The text of the policy that judged; None for the one that ships, by which cases are judged anyway."""
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
