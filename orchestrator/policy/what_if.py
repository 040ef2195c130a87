"""What would the policy say? Of an imagined change, of a step of a real run, and of the cases beside a policy."""

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
from orchestrator.policy.document import Policy, parse_policy
from orchestrator.policy.evaluate import InForce
from orchestrator.policy.explain import Explanation, explain
from orchestrator.policy.hypothetical import Imagined
from orchestrator.policy.inputs import Context
from orchestrator.policy.load_inputs import context_of, gather, policy_in_force
from orchestrator.policy.tests import CaseResult, run_cases
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records, runs, steps
from orchestrator.store.tables import ConnectionRow, RunRow


@dataclass(frozen=True, slots=True)
class _RunOf:
    """A run, as far as a verdict looks at it."""

    playbook: str
    version: int
    plan_digest: str
    mode: Mode
    source: str | None
    severity: int


async def evaluate(
    rt: Runtime, wish: Imagined, draft: str | None = None, file: str = "policy.yaml"
) -> Explanation:
    """What-if, with the inventory, switches and counts of now, by a draft or by the policy in force. Raises Invalid."""
    policy = None if draft is None else parse_policy(draft, file)
    offered, now = await load_catalogue(rt), rt.clock()
    async with rt.store.read() as session:
        change = wish.change(offered)
        change = change if wish.connector else await _bound(session, change)
        context = wish.context(now).model_copy(
            update={"limits": await _own_limits(session, wish.playbook)}
        )
        return await _explained(session, change, None, context, policy, now, tags=wish.tags)


async def evaluate_step(
    rt: Runtime, run_id: str, path: str, draft: str | None = None, file: str = "policy.yaml"
) -> Explanation:
    """The change that a step of a run planned, judged again as of now. Raises NotFound, and Invalid for a step that planned none."""
    policy = None if draft is None else parse_policy(draft, file)
    offered, now = await load_catalogue(rt), rt.clock()
    async with rt.store.read() as session:
        run = await runs.get(session, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}; see `tocsin run list`")
        change = await _bound(session, await _planned(session, run_id, path, offered))
        return await _explained(
            session, change, run_id, await context_of(session, _run_of(run), now), policy, now
        )


async def try_policy(
    rt: Runtime | None, text: str, tests: str, file: str = "policy.tests.yaml"
) -> tuple[CaseResult, ...]:
    """Judges the cases of a file of tests by a policy. Raises Invalid for what can't be read in either of them."""
    return run_cases(tests, file, parse_policy(text), await load_catalogue(rt))


async def _explained(
    session: AsyncSession,
    change: Change,
    run_id: str | None,
    context: Context,
    draft: Policy | None,
    now: datetime,
    tags: tuple[str, ...] = (),
) -> Explanation:
    in_force = await policy_in_force(session) if draft is None else InForce(0, draft.digest, draft)
    facts = await gather(session, change, run_id, now, context, in_force)
    more = tuple(dict.fromkeys((*facts.tags, *tags)))
    return explain(change, in_force, facts.model_copy(update={"tags": more}), context)


async def _planned(session: AsyncSession, run_id: str, path: str, offered: Catalogue) -> Change:
    step = await steps.get(session, run_id, path)
    if step is None:
        known = ", ".join(row.path for row in await steps.of_run(session, run_id, 20))
        raise NotFound(f"run {run_id} has no step {path}; it has: {known or 'none'}")
    action = offered.get(f"{step.connection}.{step.action}")
    if (
        step.planned_change is None
        or action is None
        or step.connection is None
        or step.action is None
    ):
        raise Invalid(
            f"step {path} of run {run_id} planned no change, so there is nothing to judge"
        )
    return Change(
        connection=step.connection,
        connector=step.connection,
        action=step.action,
        effect=action.effect,
        input=step.inputs or {},
        planned_change=step.planned_change,
    )


async def _bound(session: AsyncSession, change: Change) -> Change:
    """With the connector that its connection is bound to."""
    row = await records.one(session, ConnectionRow, change.connection)
    return change if row is None else change.model_copy(update={"connector": row.connector})


async def _own_limits(session: AsyncSession, playbook: str) -> Limits:
    row = await runs.playbook(session, playbook, None) if playbook else None
    return Limits() if row is None else Limits.model_validate(row.plan.get("limits", {}))


def _run_of(run: RunRow) -> _RunOf:
    return _RunOf(
        run.playbook, run.version, run.plan_digest, Mode(run.mode), run.source, run.severity
    )
