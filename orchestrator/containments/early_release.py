"""Release before its time: allowed, or asked of the group that approved the containment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.new_approvers import check_established
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.change import Change, Effect, Holder, Verdict
from orchestrator.domain.errors import Forbidden
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents import tasks
from orchestrator.policy.evaluate import evaluate
from orchestrator.policy.load_inputs import load_context, load_facts, load_policy
from orchestrator.store.queries import containments, runs
from orchestrator.store.tables import ContainmentRow, LeaseRow


class EarlyRelease(NamedTuple):
    """A release that its person may not do."""

    containment: str
    target: str
    reason: str
    group: str | None
    """Whose people can do it; None: those who may decide, or no one where the policy denies it."""
    is_denied: bool

    def __str__(self) -> str:
        who = f"a person of {self.group}" if self.group else "a person who may decide"
        rest = "" if self.is_denied else f"; {who} was asked to release it"
        return f"{self.target}: {self.reason}{rest}"


async def find_refusal(
    session: AsyncSession,
    containment: ContainmentRow,
    leases: Sequence[LeaseRow],
    who: Principal | None,
    now: datetime,
) -> EarlyRelease | None:
    """Return why a person may not end leases now; None: they may. `who` None: in no group.

    Where several runs hold it, the policy is asked about the leases of each. Without leases, they
    ended before, and the lifting is only tried again.
    """
    for run_id in sorted({lease.run_id for lease in leases}):
        of_run = [lease for lease in leases if lease.run_id == run_id]
        refused = await _refusal_of_run(session, containment, of_run, who, now)
        if refused is not None:
            return refused
    return None


async def _refusal_of_run(
    session: AsyncSession,
    containment: ContainmentRow,
    leases: Sequence[LeaseRow],
    who: Principal | None,
    now: datetime,
) -> EarlyRelease | None:
    """Return why a person may not end the leases of one run now."""
    change = await _change(session, containment, leases)
    in_force = await load_policy(session)
    run = await runs.get(session, leases[0].run_id)
    if run is None:
        text = f"run {leases[0].run_id} of its lease is missing"
        return EarlyRelease(containment.key, containment.target, text, None, is_denied=True)
    context = await load_context(session, run, now)
    facts = await load_facts(session, change, None, now, context, in_force)
    verdict = evaluate(change, in_force, facts, context)
    if verdict.outcome is Verdict.ALLOW:
        return None
    reason = verdict.reasons[0]
    if verdict.outcome is Verdict.DENY:
        return EarlyRelease(containment.key, containment.target, reason, None, is_denied=True)
    groups = facts.approved_by if verdict.by in facts.approved_by else (verdict.by,)
    for group in groups:
        objection = await _objection(session, who, group, now)
        if objection is not None:
            text = f"{reason}; {objection}"
            return EarlyRelease(containment.key, containment.target, text, group, is_denied=False)
    return None


async def ask_group(
    session: AsyncSession, refused: EarlyRelease, actor: str, why: str, now: datetime
) -> None:
    """Open a task for the group that can release a containment, who are notified."""
    if refused.is_denied:
        return
    given = f": {why}" if why else ""
    await tasks.open_task(
        session,
        kind=TaskKind.RELEASE_REQUESTED,
        subject=refused.containment,
        summary=f"{actor.removeprefix('person:')} asks to lift {refused.target} before its time"
        f"{given}. To do it: tocsin containment release {refused.containment}. Otherwise close this"
        " task with the reason.",
        now=now,
        to_group=refused.group,
    )


async def close_requests(
    session: AsyncSession, containment: ContainmentRow, actor: str, now: datetime
) -> None:
    """Close what was asked about a containment: its leases end."""
    await tasks.close_tasks(
        session, TaskKind.RELEASE_REQUESTED, containment.key, actor, "released", now
    )


async def _objection(
    session: AsyncSession, who: Principal | None, group: str | None, now: datetime
) -> str | None:
    if who is None or not who.has_permission(Permission.APPROVAL_DECIDE):
        return "this key may not decide"
    if group is not None and group not in who.groups:
        return f"{who.person} is not a member of {group}"
    try:
        await check_established(session, who, group, now)
    except Forbidden as error:
        return str(error)
    return None


async def _change(
    session: AsyncSession, containment: ContainmentRow, leases: Sequence[LeaseRow]
) -> Change:
    """Return the release as the policy sees it: the containing change, with what it ends."""
    made = await containments.effects_in_force(session, containment.key)
    connector = made[0].connector if made else containment.connection
    planned = {"target": containment.as_target.model_dump(mode="json"), "changed": True}
    return Change(
        connection=containment.connection,
        connector=connector,
        action=containment.action,
        effect=Effect.RELEASE,
        input={},
        planned_change={**planned, "summary": f"Lift {containment.target}"},
        holders=tuple(
            Holder(
                lease=lease.id,
                containment=containment.key,
                run=lease.run_id,
                playbook=None,
                target=containment.as_target,
                expires_at=lease.until,
            )
            for lease in leases
        ),
    )
