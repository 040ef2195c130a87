"""A containment that a group approved is lifted before its time by that group only, on any path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from orchestrator.containments.bulk_release import (
    ReleaseResult,
    preview_release,
    release_containments,
)
from orchestrator.containments.release import change_lease, release, release_incident
from orchestrator.contracts.change import PlanRequest
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.errors import Forbidden
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.policy.document import parse_policy
from orchestrator.store.search.filters import ContainmentFilter
from orchestrator.store.tables import ApprovalRow, EffectRow, IncidentRow, LeaseRow, TaskRow
from tests.harness.activity_rig import START, ActivityRig, rig, run_row
from tests.harness.databases import edit_rows

HOUR = timedelta(hours=1)
PAUL = Principal(key_id="k1", person="paul", roles=(Role.ANALYST,), groups=("soc",))
LEAD = Principal(key_id="k2", person="lena", roles=(Role.ANALYST,), groups=("soc-leads",))
NEW = LEAD.model_copy(update={"person": "nina", "member_since": {"soc-leads": START}})
READER = LEAD.model_copy(update={"person": "rita", "roles": (Role.VIEWER,)})
Act = Callable[[ActivityRig, str, Principal | None], Awaitable[Any]]


async def by_hand(bench: ActivityRig, key: str, who: Principal | None) -> Any:
    return await release(bench.rt, key, actor="person:x", who=who, reason="it is harmless")


async def one_lease(bench: ActivityRig, key: str, who: Principal | None) -> Any:
    return await release(bench.rt, key, lease="run_1/block", actor="person:x", who=who)


async def shorten(bench: ActivityRig, key: str, who: Principal | None) -> Any:
    soon = timedelta(seconds=1)
    return await change_lease(bench.rt, key, length=soon, actor="person:x", who=who)


async def of_incident(bench: ActivityRig, key: str, who: Principal | None) -> Any:
    return await release_incident(bench.rt, "inc_1", actor="person:x", who=who)


async def in_bulk(bench: ActivityRig, key: str, who: Principal | None) -> Any:
    wanted = ContainmentFilter(keys=(key,))
    seen = await preview_release(bench.rt, wanted, who)
    done = await release_containments(bench.rt, wanted, expected=None, actor="person:x", who=who)
    (before,), (after,) = seen.items, done.items
    if after.result is ReleaseResult.REFUSED:
        assert before.result is ReleaseResult.REFUSED
        raise Forbidden(after.reason or "")
    assert before.result is ReleaseResult.RELEASABLE


PATHS = [by_hand, one_lease, shorten, of_incident, in_bulk]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def approved(bench: ActivityRig, group: str | None = "soc-leads") -> str:
    """Contain for run_1 until an hour from now, as a group approved; return the key."""
    asked = {"kind": "change", "question": "Block?", "digest": "d", "state": "approved"}
    times = {"asked_at": START, "expires_at": START + HOUR, "workflow_id": "w"}
    call = bench.block("run_1")
    planned = await bench.plan(call)
    await bench.apply(call, planned)
    row = ApprovalRow(
        id="apr_1", run_id="run_1", path="block", changes=[], by_group=group, **asked, **times
    )
    incident = {"correlation_key": "k", "title": "t", "severity": 4}
    at = {"opened_at": START, "last_alert_at": START}
    await bench.add(row, IncidentRow(id="inc_1", **incident, **at))
    async with bench.rt.store.write() as session:
        await edit_rows(session, EffectRow, approval_id="apr_1")
        await edit_rows(session, LeaseRow, until=START + HOUR)
    return planned.change.containment_key


async def ends(bench: ActivityRig) -> list[Any]:
    return [row.until for row in await bench.rows(LeaseRow)]


@pytest.mark.attack(
    "an analyst lifts what soc-leads approved: by hand, in part, sooner, by incident, in bulk",
    before="lifted",
)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", [PAUL, NEW, READER, None])
async def test_other_people_ask_the_group_that_approved(
    bench: ActivityRig, path: Act, who: Principal | None
) -> None:
    key = await approved(bench)
    with pytest.raises(Forbidden, match="default:approved of the policy requires a person of soc-"):
        await path(bench, key, who)
    assert await ends(bench) == [START + HOUR]
    (task,) = await bench.rows(TaskRow)
    assert (task.kind, task.subject, task.to_group) == ("release_requested", key, "soc-leads")
    assert f"tocsin containment release {key}" in task.summary


@pytest.mark.parametrize("path", PATHS)
async def test_member_of_the_group_lifts_it_and_closes_what_was_asked(
    bench: ActivityRig, path: Act
) -> None:
    key = await approved(bench)
    with pytest.raises(Forbidden):
        await by_hand(bench, key, PAUL)
    await path(bench, key, LEAD)
    assert await ends(bench) != [START + HOUR]
    (task,) = await bench.rows(TaskRow)
    assert task.state == ("open" if path is shorten else "closed")


async def test_longer_lease_and_what_no_group_approved_need_no_one(bench: ActivityRig) -> None:
    key = await approved(bench, None)
    await change_lease(bench.rt, key, length=5 * HOUR, actor="person:x", who=PAUL)
    await by_hand(bench, key, PAUL)
    assert await ends(bench) == [START]


async def test_extension_of_what_a_group_approved_is_open_to_all(bench: ActivityRig) -> None:
    key = await approved(bench)
    await change_lease(bench.rt, key, length=5 * HOUR, actor="person:x", who=PAUL)
    assert await ends(bench) == [START + 5 * HOUR]


@pytest.mark.attack(
    "a playbook lifts what soc-leads approved, in a restore step", before="any approver was asked"
)
async def test_restore_step_asks_the_group_that_approved(bench: ActivityRig) -> None:
    await approved(bench)
    given = {"address": "198.51.100.7"}
    call = bench.call(
        "firewall", "firewall", "unblock_address", Effect.RESTORE, given, run="run_2", path="lift"
    )
    plan = await ActivityEnvironment().run(
        PlanChange(bench.rt).plan, PlanRequest(call=call, lease=True)
    )
    assert (plan.verdict.outcome, plan.verdict.rule) == (Verdict.ASK, "default:approved")
    assert plan.verdict.by == "soc-leads"


async def test_rules_of_the_policy_decide_about_releases(bench: ActivityRig) -> None:
    key = await approved(bench)
    await bench.policy(
        parse_policy("rules: [{effect: release, deny: talk to the owner}]").model_dump(mode="json")
    )
    with pytest.raises(Forbidden, match="talk to the owner"):
        await by_hand(bench, key, LEAD)
    assert await bench.rows(TaskRow) == []


@pytest.mark.parametrize("path", PATHS)
async def test_rule_about_one_of_several_runs_holds_for_all(bench: ActivityRig, path: Act) -> None:
    key = await approved(bench, None)
    await bench.add(run_row("run_9", playbook="guarded"))
    await bench.plan(bench.block("run_9"))
    rule = "rules: [{effect: release, playbook: guarded, deny: ask its owner}]"
    await bench.policy(parse_policy(rule).model_dump(mode="json"))
    if path is one_lease:  # that of run_1, about which there is no rule
        await path(bench, key, LEAD)
        return
    with pytest.raises(Forbidden, match="ask its owner"):
        await path(bench, key, LEAD)
    assert START not in await ends(bench)


async def test_rule_names_who_lifts(bench: ActivityRig) -> None:
    key = await approved(bench, None)
    rule = {"effect": "release", "action": "block_address", "approve": {"by": "network"}}
    await bench.policy(parse_policy(f"rules: [{rule}]").model_dump(mode="json"))
    with pytest.raises(Forbidden, match="not a member of network"):
        await by_hand(bench, key, LEAD)
    await by_hand(bench, key, LEAD.model_copy(update={"groups": ("network",)}))
