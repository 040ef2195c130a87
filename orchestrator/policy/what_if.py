"""What-if: the verdict on a hypothetical change, on a step of a run, and on test cases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.change import Change
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.run import Mode
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.plan import Limits
from orchestrator.policy.document import Policy
from orchestrator.policy.drafts.analysis import read_draft, run_draft_cases
from orchestrator.policy.evaluate import PolicyInForce
from orchestrator.policy.explain import Explanation, explain
from orchestrator.policy.hypothetical_change import HypotheticalChange
from orchestrator.policy.inputs import ChangeContext
from orchestrator.policy.load_inputs import load_context, load_facts, load_policy
from orchestrator.policy.tests import PolicyTestReport
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records, runs, steps
from orchestrator.store.tables import ConnectionRow, RunRow


@dataclass(frozen=True, slots=True)
class _RunOf:
    """The fields of a run that an evaluation needs."""

    playbook: str
    version: int
    plan_digest: str
    mode: Mode
    source: str | None
    severity: int


async def evaluate_change(
    rt: Runtime,
    hypothetical: HypotheticalChange,
    draft: str | None = None,
    file: str = "policy.yaml",
) -> Explanation:
    """Evaluate a hypothetical change with the current inventory, switches and counts.

    `draft`: the text of a policy to evaluate it by, instead of the policy in force. Raise Invalid.
    """
    policy = None if draft is None else await read_draft(rt, draft, file)
    offered, now = await load_catalogue(rt), rt.clock()
    async with rt.store.read() as session:
        change = hypothetical.change(offered)
        change = change if hypothetical.connector else await _bound(session, change)
        context = hypothetical.context(now).model_copy(
            update={"limits": await _own_limits(session, hypothetical.playbook)}
        )
        return await _explained(
            session,
            change,
            None,
            context,
            policy,
            now,
            tags=hypothetical.tags,
            approved_by=hypothetical.approved_by,
        )


async def evaluate_step(
    rt: Runtime, run_id: str, path: str, draft: str | None = None, file: str = "policy.yaml"
) -> Explanation:
    """Evaluate again the change that a step of a run planned. Raise NotFound, Invalid."""
    policy = None if draft is None else await read_draft(rt, draft, file)
    offered, now = await load_catalogue(rt), rt.clock()
    async with rt.store.read() as session:
        run = await runs.get(session, run_id)
        if run is None:
            raise NotFound(f"run {run_id} does not exist; `tocsin run list` lists them")
        change = await _bound(session, await _planned(session, run_id, path, offered))
        return await _explained(
            session, change, run_id, await load_context(session, _run_of(run), now), policy, now
        )


async def run_policy_tests(
    rt: Runtime, text: str, tests: str, file: str = "policy.tests.yaml"
) -> PolicyTestReport:
    """Run the test cases of a policy. Raise Invalid if either text cannot be read."""
    results = await run_draft_cases(rt, text, tests, file, await load_catalogue(rt))
    failures = sum(result.failure is not None for result in results)
    return PolicyTestReport(failures=failures, cases=results)


async def _explained(
    session: AsyncSession,
    change: Change,
    run_id: str | None,
    context: ChangeContext,
    draft: Policy | None,
    now: datetime,
    tags: tuple[str, ...] = (),
    approved_by: tuple[str, ...] = (),
) -> Explanation:
    in_force = (
        await load_policy(session) if draft is None else PolicyInForce(0, draft.digest, draft)
    )
    facts = await load_facts(session, change, run_id, now, context, in_force)
    more = {
        "tags": tuple(dict.fromkeys((*facts.tags, *tags))),
        "sure_tags": tuple(dict.fromkeys((*(facts.sure_tags or ()), *tags))),
        "approved_by": (*facts.approved_by, *approved_by),
    }
    return explain(change, in_force, facts.model_copy(update=more), context)


async def _planned(session: AsyncSession, run_id: str, path: str, offered: Catalogue) -> Change:
    step = await steps.get(session, run_id, path)
    if step is None:
        known = ", ".join(row.path for row in await steps.of_run(session, run_id, 20))
        raise NotFound(f"run {run_id} has no step {path}; its steps are: {known or 'none'}")
    action = offered.get(f"{step.connection}.{step.action}")
    if (
        step.planned_change is None
        or action is None
        or step.connection is None
        or step.action is None
    ):
        raise Invalid(f"step {path} of run {run_id} planned no change")
    return Change(
        connection=step.connection,
        connector=step.connection,
        action=step.action,
        effect=action.effect,
        input=step.inputs or {},
        planned_change=step.planned_change,
    )


async def _bound(session: AsyncSession, change: Change) -> Change:
    """Return the change with the connector that its connection is bound to."""
    row = await records.get(session, ConnectionRow, change.connection)
    return change if row is None else change.model_copy(update={"connector": row.connector})


async def _own_limits(session: AsyncSession, playbook: str) -> Limits:
    row = await runs.get_playbook(session, playbook, None) if playbook else None
    return Limits() if row is None else Limits.model_validate(row.plan.get("limits", {}))


def _run_of(run: RunRow) -> _RunOf:
    return _RunOf(
        run.playbook, run.version, run.plan_digest, Mode(run.mode), run.source, run.severity
    )
