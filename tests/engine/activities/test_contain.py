"""Containments: applied once, held by leases, lifted once, whatever crashes in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestrator.containments.release import release
from orchestrator.contracts.change import (
    ApplyRequest,
    PlanReply,
    PlanRequest,
    UndoReply,
    UndoRequest,
    VerifyRequest,
)
from orchestrator.contracts.containment import HoldRequest
from orchestrator.contracts.run import RunEnd, StepRef
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.engine.activities import undo as undoing
from orchestrator.engine.activities.apply import ApplyChange
from orchestrator.engine.activities.hold import HoldTarget
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow, StepRow
from tests.harness.activity_rig import (
    ActivityRig,
    RecordRun,
    UndoChange,
    VerifyChange,
    context,
    rig,
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def undo(
    bench: ActivityRig,
    run: str = "run_1",
    path: str = "block",
    cause: LeaseEndReason = LeaseEndReason.ROLLED_BACK,
    actor: str | None = None,
) -> UndoReply:
    actor = actor or f"run:{run}"
    request = UndoRequest(
        run_id=run, path=path, cause=cause, reason=cause.describe(actor), actor=actor
    )
    return await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)


async def test_containment_is_audited_in_order(bench: ActivityRig) -> None:
    call = bench.block()
    planned = await bench.contained(call)
    request = VerifyRequest(call=call, change=planned.change, output={})
    assert (await ActivityEnvironment().run(VerifyChange(bench.rt).verify, request)).verified
    assert (await undo(bench)).outcome == "undone"
    assert await bench.kinds() == [
        "containment:lease:registered",
        "run:step:planned",
        "run:step:evaluated",
        "run:step:intended",
        "run:step:applied",
        "run:step:verified",
        "containment:lease:ended",
        "containment:undo:intended",
        "containment:undo:applied",
    ]
    assert bench.worlds["firewall"].in_force() == type(bench.worlds["firewall"])().in_force()
    assert [row.state for row in await bench.rows(StepRow)] == ["undone"]
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]
    assert [row.state for row in await bench.rows(EffectRow)] == ["undone"]


@pytest.mark.parametrize("lifted", [True, False])
async def test_release_during_verification_names_who_released(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch, *, lifted: bool
) -> None:
    monkeypatch.setattr("orchestrator.engine.activities.verify.PAUSES", (0.0,))
    call = bench.block()
    planned = await bench.contained(call)
    key = planned.change.containment_key
    await release(bench.rt, key, actor="person:bob")
    if lifted:
        await undo(bench, cause=LeaseEndReason.RELEASED, actor="person:bob")
    firewall: Any = bench.worlds["firewall"]
    firewall.tags.clear()
    request = VerifyRequest(call=call, change=planned.change, output={})
    reply = await ActivityEnvironment().run(VerifyChange(bench.rt).verify, request)
    assert (reply.verified, reply.released) == (False, True)
    assert (
        reply.detail
        == "it was released by bob before the device was read back, and is not in force"
    )
    assert [row.error for row in await bench.rows(StepRow)] == [reply.detail]


async def test_lease_that_expired_before_the_verification_is_not_the_device_s_fault(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.engine.activities.verify.PAUSES", (0.0,))
    call = bench.block()
    planned = await bench.contained(call)
    await ActivityEnvironment().run(
        HoldTarget(bench.rt).hold, HoldRequest(ref=call.ref, seconds=20)
    )
    bench.pass_time(timedelta(seconds=21))
    assert (await undo(bench, cause=LeaseEndReason.EXPIRED)).outcome == "undone"
    request = VerifyRequest(call=call, change=planned.change, output={})
    reply = await ActivityEnvironment().run(VerifyChange(bench.rt).verify, request)
    assert (reply.verified, reply.released) == (False, True)
    assert reply.detail.startswith("its lease expired before the device was read back")


async def test_unverified_change_is_not_reported_as_a_release(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.engine.activities.verify.PAUSES", (0.0,))
    call = bench.block()
    planned = await bench.contained(call)
    firewall: Any = bench.worlds["firewall"]
    firewall.tags.clear()
    reply = await ActivityEnvironment().run(
        VerifyChange(bench.rt).verify, VerifyRequest(call=call, change=planned.change, output={})
    )
    assert (reply.verified, reply.released) == (False, False)
    assert "accepted block_address of address 198.51.100.7, but does not show it" in reply.detail


async def test_intent_is_committed_before_the_vendor_is_called(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    bench.worlds["firewall"].inject(kind="status", status=503, times=10)
    with pytest.raises(ApplicationError) as caught:
        await bench.apply(bench.block(), planned)
    assert caught.value.type == "Unavailable"
    assert not caught.value.non_retryable
    assert [row.state for row in await bench.rows(EffectRow)] == ["intended"]
    assert (await bench.kinds())[-1] == "run:step:intended"


async def test_call_repeated_after_a_crash_is_one_effect_and_one_record(
    bench: ActivityRig,
) -> None:
    call = bench.block()
    planned = await bench.contained(call)
    async with (
        bench.rt.store.write() as session
    ):  # as if the worker died before it recorded the reply
        (effect,) = await bench.rows(EffectRow)
        effect.state = "intended"
        await session.merge(effect)
    assert (await bench.apply(call, planned)).outcome == "applied"
    assert (await bench.apply(call, planned)).outcome == "applied"
    assert len(await bench.rows(EffectRow)) == 1
    kinds = await bench.kinds()
    assert kinds.count("run:step:intended") == kinds.count("run:step:applied") == 1
    assert len({effect["key"] for effect in bench.worlds["firewall"].effects}) == 1


async def test_applied_step_is_not_called_again(bench: ActivityRig) -> None:
    call = bench.block()
    planned = await bench.contained(call)
    made = bench.effects("firewall")
    assert (await bench.apply(call, planned)).outcome == "applied"
    assert bench.effects("firewall") == made


async def test_shared_containment_is_lifted_once_by_the_last_run(bench: ActivityRig) -> None:
    await bench.contained(bench.block("run_1"))
    second = await bench.plan(bench.block("run_2"))
    assert not second.change.changed
    made = bench.effects("firewall")
    assert (await undo(bench, "run_1")).outcome == "kept"
    assert bench.effects("firewall") == made
    assert (await undo(bench, "run_2")).outcome == "undone"
    assert bench.effects("firewall") > made
    lifted = bench.effects("firewall")
    assert (await undo(bench, "run_1")).outcome == "undone"  # again, like a retry
    assert bench.effects("firewall") == lifted


async def test_runs_that_plan_at_the_same_time_make_one_effect(bench: ActivityRig) -> None:
    first, second = await bench.plan(bench.block("run_1")), await bench.plan(bench.block("run_2"))
    assert first.change.changed
    assert second.change.changed
    await bench.apply(bench.block("run_1"), first)
    made = bench.effects("firewall")
    assert (await bench.apply(bench.block("run_2"), second)).outcome == "applied"
    assert bench.effects("firewall") == made
    assert (await undo(bench, "run_1")).outcome == "kept"
    assert (await undo(bench, "run_2")).outcome == "undone"


async def test_run_waits_while_another_applies_the_same(bench: ActivityRig) -> None:
    first, second = await bench.plan(bench.block("run_1")), await bench.plan(bench.block("run_2"))
    bench.worlds["firewall"].inject(kind="status", status=503, times=10)
    with pytest.raises(ApplicationError):
        await bench.apply(bench.block("run_1"), first)
    bench.worlds["firewall"].clear_faults()
    waiting = await bench.apply(bench.block("run_2"), second)
    assert (waiting.outcome, "run_1 is applying the same" in waiting.detail) == ("busy", True)
    bench.pass_time(timedelta(minutes=12))  # it is considered dead
    assert (await bench.apply(bench.block("run_2"), second)).outcome == "applied"


async def in_flight(bench: ActivityRig) -> PlanReply:
    """Leave a call of run_1 without a reply: it may take effect later."""
    planned = await bench.plan(bench.block("run_1"))
    bench.worlds["firewall"].inject(kind="status", status=503, times=10)
    with pytest.raises(ApplicationError):
        await bench.apply(bench.block("run_1"), planned)
    bench.worlds["firewall"].clear_faults()
    return planned


async def test_release_waits_while_its_containment_is_applied(bench: ActivityRig) -> None:
    planned = await in_flight(bench)
    with pytest.raises(ApplicationError, match="run_1 is applying block_address") as waiting:
        await undo(bench, cause=LeaseEndReason.RELEASED, actor="person:ann")
    assert waiting.value.type == "Unavailable"
    assert (await bench.apply(bench.block("run_1"), planned)).outcome == "refused"
    reply = await undo(bench, cause=LeaseEndReason.RELEASED, actor="person:ann")
    assert reply.outcome == "undone"


async def test_release_waits_for_no_call_whose_worker_is_dead(bench: ActivityRig) -> None:
    await in_flight(bench)
    bench.pass_time(timedelta(minutes=12))
    reply = await undo(bench, cause=LeaseEndReason.RELEASED, actor="person:ann")
    assert reply.outcome == "undone"


async def test_run_that_rolls_back_does_not_wait_for_its_own_call(bench: ActivityRig) -> None:
    await in_flight(bench)
    assert (await undo(bench)).outcome == "undone"


async def test_foreign_containment_is_left_alone(bench: ActivityRig) -> None:
    await bench.contained(bench.block("run_1"))
    async with bench.rt.store.write() as session:  # a block by others
        for table in (LeaseRow, ContainmentRow, EffectRow):
            for row in await bench.rows(table):
                await session.delete(row)
    planned = await bench.plan(bench.block("run_2"))
    assert not planned.change.changed
    made = bench.effects("firewall")
    assert (await undo(bench, "run_2")).outcome == "not_ours"
    assert bench.effects("firewall") == made


async def test_containment_is_not_held_while_it_is_lifted(bench: ActivityRig) -> None:
    await bench.contained(bench.block("run_1"))
    bench.worlds["firewall"].inject(kind="status", status=503, times=10)
    with pytest.raises(ApplicationError):
        await undo(bench, "run_1")
    bench.worlds["firewall"].clear_faults()
    waiting = await bench.plan(bench.block("run_2"))
    assert waiting.busy == "the containment of address 198.51.100.7 is being lifted"
    assert len(await bench.rows(LeaseRow)) == 1
    assert (await undo(bench, "run_1")).outcome == "undone"
    assert (await bench.plan(bench.block("run_2"))).change.changed


async def test_containment_is_lifted_by_one_worker_at_a_time(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call could arrive late and lift what was contained again in the meantime."""
    await bench.contained(bench.block("run_1"))
    reached, go_on, look = asyncio.Event(), asyncio.Event(), undoing.poll_until

    async def slowly(*given: Any) -> bool:
        reached.set()
        await go_on.wait()
        return await look(*given)

    monkeypatch.setattr(undoing, "poll_until", slowly)
    first = asyncio.create_task(undo(bench, "run_1"))
    await reached.wait()
    requests = bench.effects("firewall")
    with pytest.raises(ApplicationError, match="is being lifted") as caught:
        await undo(bench, "run_1")
    assert (caught.value.type, bench.effects("firewall")) == ("Unavailable", requests)
    go_on.set()
    assert (await first).outcome == "undone"
    assert (await undo(bench, "run_1")).outcome == "undone"  # before
    assert bench.effects("firewall") == requests


async def test_dead_release_is_not_waited_for_long(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.contained(bench.block("run_1"))
    with monkeypatch.context() as patched:
        patched.setattr(undoing, "poll_until", _died)
        with pytest.raises(MemoryError):
            await undo(bench, "run_1")
    with pytest.raises(ApplicationError, match="is being lifted"):
        await undo(bench, "run_1")
    bench.pass_time(timedelta(minutes=3))
    assert (await undo(bench, "run_1")).outcome == "undone"


async def _died(*_given: Any) -> bool:
    raise MemoryError


async def test_kill_switch_stops_apply_but_not_release(bench: ActivityRig) -> None:
    await bench.contained(bench.block("run_1"))
    planned = await bench.plan(bench.block("run_2", "198.51.100.8"))
    await bench.engage("global")
    reply = await bench.apply(bench.block("run_2", "198.51.100.8"), planned)
    assert reply.outcome == "refused"
    assert "kill switch" in reply.detail
    assert (await undo(bench, "run_1")).outcome == "undone"


async def test_policy_at_apply_counts_not_that_at_plan(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    assert planned.verdict.outcome is Verdict.ALLOW
    await bench.policy({"protect": {"addresses": ["198.51.100.7"]}})
    assert (await bench.apply(bench.block(), planned)).outcome == "refused"
    assert await bench.rows(EffectRow) == []


async def test_denied_change_holds_no_lease(bench: ActivityRig) -> None:
    await bench.policy({"protect": {"addresses": ["198.51.100.7"]}})
    assert (await bench.plan(bench.block())).verdict.outcome is Verdict.DENY
    assert await bench.rows(LeaseRow) == []


async def test_limits_count_over_all_runs_of_the_hour(bench: ActivityRig) -> None:
    await bench.policy({"limits": {"windows": [{"within": "1h", "addresses": 1}]}})
    await bench.contained(bench.block("run_1", "198.51.100.7"))
    other = bench.block("run_2", "198.51.100.8")
    assert (await bench.plan(other)).verdict.outcome is Verdict.ASK
    bench.pass_time(timedelta(minutes=61))
    assert (await bench.plan(other)).verdict.outcome is Verdict.ALLOW


async def test_change_that_was_not_planned_is_not_applied(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    with pytest.raises(ApplicationError, match="was not planned for this step"):
        await bench.apply(bench.block(address="198.51.100.9"), planned)


async def test_dry_run_plans_without_a_lease_and_applies_nothing(bench: ActivityRig) -> None:
    call = bench.block()
    dry = call.model_copy(
        update={"ref": StepRef(run=context(mode=Mode.DRY_RUN), path="block", seq=1)}
    )
    planned = await ActivityEnvironment().run(
        PlanChange(bench.rt).plan, PlanRequest(call=dry, lease=True)
    )
    assert await bench.rows(LeaseRow) == []
    with pytest.raises(ApplicationError, match="dry run"):
        await ActivityEnvironment().run(
            ApplyChange(bench.rt).apply, ApplyRequest(call=dry, change=planned.change)
        )
    assert bench.effects("firewall") == 0


async def test_step_released_during_approval_is_not_applied(
    bench: ActivityRig,
) -> None:
    planned = await bench.plan(bench.block())
    await undo(bench)
    assert (await bench.apply(bench.block(), planned)).outcome == "refused"


async def test_lost_reply_is_unknown_and_can_be_undone(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    bench.worlds["firewall"].inject(kind="lost_reply", times=10)
    with pytest.raises(ApplicationError) as caught:
        await bench.apply(bench.block(), planned)
    assert caught.value.type == "Unknown"
    bench.worlds["firewall"].clear_faults()
    found = await ActivityEnvironment().run(UndoChange(bench.rt).list_undoable, context())
    assert [each.path for each in found] == ["block"]
    assert (await undo(bench)).outcome == "undone"
    assert await ActivityEnvironment().run(UndoChange(bench.rt).list_undoable, context()) == []


async def test_refusal_after_a_lost_reply_keeps_ownership(
    bench: ActivityRig,
) -> None:
    planned = await bench.plan(bench.block())
    bench.worlds["firewall"].inject(kind="lost_reply", times=1)
    for fault in (
        {"kind": "status", "status": 403, "times": 9},
        {"kind": "status", "status": 403, "times": 9},
    ):
        with pytest.raises(ApplicationError) as caught:
            await bench.apply(bench.block(), planned)
        assert caught.value.type == "Unknown"
        bench.worlds["firewall"].clear_faults()
        bench.worlds["firewall"].inject(**fault)
    bench.worlds["firewall"].clear_faults()
    assert (await undo(bench)).outcome == "undone"
    assert bench.worlds["firewall"].in_force()["addresses"] == []


async def test_ticket_is_opened_once_and_has_no_undo(bench: ActivityRig) -> None:
    call = bench.call(
        "tickets", "ticketing", "open", Effect.NOTIFY, {"title": "Contained"}, path="ticket"
    )
    planned = await bench.plan(call, lease=False)
    first = await bench.apply(call, planned)
    async with bench.rt.store.write() as session:
        (effect,) = await bench.rows(EffectRow)
        effect.state = "intended"
        await session.merge(effect)
    again = await bench.apply(call, planned)
    assert first.output["key"] == again.output["key"]
    assert bench.effects("tickets") == 1
    assert await ActivityEnvironment().run(UndoChange(bench.rt).list_undoable, context()) == []
    assert (await undo(bench, path="ticket")).outcome == "not_ours"


async def test_ticket_has_no_lease(bench: ActivityRig) -> None:
    await bench.plan(
        bench.call("tickets", "ticketing", "open", Effect.NOTIFY, {"title": "Contained"}),
        lease=True,
    )
    assert await bench.rows(LeaseRow) == []


async def test_later_attempt_can_contain_again(bench: ActivityRig) -> None:
    await bench.contained(bench.block())
    await undo(bench)
    again = bench.block(attempt=2)
    assert (await bench.plan(again)).change.changed
    await bench.contained(again)
    assert [row.state for row in await bench.rows(EffectRow, EffectRow.id)] == ["undone", "applied"]
    assert (await undo(bench)).outcome == "undone"


async def test_end_of_run_ends_leases_without_a_change(
    bench: ActivityRig,
) -> None:
    await bench.plan(bench.block("run_1"))
    await ActivityEnvironment().run(
        RecordRun(bench.rt).end, RunEnd(run=context(), status=RunStatus.DECLINED)
    )
    assert [row.state for row in await bench.rows(LeaseRow)] == ["ended"]


async def test_step_that_was_undone_is_not_applied_again_in_its_attempt(bench: ActivityRig) -> None:
    call = bench.block()
    await bench.contained(call)
    await undo(bench)
    calls = bench.effects("firewall")
    reply = await bench.apply(call, await bench.plan(call))
    assert (reply.outcome, bench.effects("firewall")) == ("refused", calls)
    assert "each attempt of a run applies a step once" in reply.detail
