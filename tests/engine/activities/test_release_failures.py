"""Failed releases: retried indefinitely, escalated, resolved by people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestrator.connections.manage import remove_connection
from orchestrator.containments.release import release
from orchestrator.containments.resolve import resolve_containment
from orchestrator.contracts.change import UndoReply, UndoRequest
from orchestrator.contracts.names import Workflow
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.engine.activities.hold import HoldTarget
from orchestrator.incidents.tasks import close_task
from orchestrator.policy.stops import kill_switches
from orchestrator.store.tables import ContainmentRow, EffectRow, KillSwitchRow, LeaseRow, TaskRow
from tests.harness.activity_rig import START, ActivityRig, UndoChange, rig
from tests.harness.request_worker import request_worker

ADDRESS = "198.51.100.7"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


def request(run: str = "run_1", path: str = "block") -> UndoRequest:
    return UndoRequest(
        run_id=run,
        path=path,
        cause=LeaseEndReason.ROLLED_BACK,
        reason="rolled back",
        actor=f"run:{run}",
    )


async def undo(
    bench: ActivityRig,
    given: UndoRequest | None = None,
    attempt: int = 1,
    tried_for: timedelta = timedelta(),
    workflow: str = Workflow.RUN,
) -> UndoReply:
    env = ActivityEnvironment()
    env.info = replace(
        env.info,
        attempt=attempt,
        workflow_type=workflow,
        current_attempt_scheduled_time=env.info.scheduled_time + tried_for,
    )
    return await env.run(UndoChange(bench.rt).undo, given or request())


async def due(bench: ActivityRig, key: str) -> list[UndoRequest]:
    return await ActivityEnvironment().run(HoldTarget(bench.rt).list_due, key)


async def row(bench: ActivityRig) -> ContainmentRow:
    (found,) = await bench.rows(ContainmentRow)
    assert isinstance(found, ContainmentRow)
    return found


async def state(bench: ActivityRig) -> str:
    return (await row(bench)).state


def refuse(bench: ActivityRig) -> None:
    bench.worlds["firewall"].inject(kind="status", status=403, times=1000)


def blocked(bench: ActivityRig) -> bool:
    return ADDRESS in bench.worlds["firewall"].in_force()["addresses"]


async def stuck(bench: ActivityRig) -> str:
    """Let the firewall refuse a release once; return the containment's key."""
    planned = await bench.contained(bench.block())
    refuse(bench)
    assert (await undo(bench)).outcome == "stuck"
    return planned.change.containment_key


async def test_stuck_release_is_retried_indefinitely_with_growing_pauses(
    bench: ActivityRig,
) -> None:
    key = await stuck(bench)
    pauses = []
    for _ in range(7):
        held = await row(bench)
        assert held.retry_at is not None
        pauses.append((held.retry_at - bench.now[0]).total_seconds() // 60)
        assert await due(bench, key) == []
        bench.now[0] = held.retry_at
        (again,) = await due(bench, key)
        assert (await undo(bench, again)).outcome == "stuck"
    assert pauses == [1, 5, 15, 60, 60, 60, 60]
    bench.worlds["firewall"].clear_faults()
    bench.pass_time(timedelta(hours=2))
    (again,) = await due(bench, key)
    assert (await undo(bench, again)).outcome == "undone"
    assert not blocked(bench)
    held = await row(bench)
    assert (held.state, held.failures, held.retry_at, held.escalated_at) == (
        "lifted",
        0,
        None,
        None,
    )


async def test_stuck_release_escalates_by_policy_and_its_task_closes_when_lifted(
    bench: ActivityRig,
) -> None:
    await bench.policy({"releases": {"escalate_after": 2, "to": "soc-leads"}})
    key = await stuck(bench)
    assert await bench.rows(TaskRow) == []
    await undo(bench)
    await undo(bench)
    (task,) = await bench.rows(TaskRow)
    assert (task.kind, task.subject, task.to_group, task.state) == (
        "stuck_release",
        key,
        "soc-leads",
        "open",
    )
    assert (await bench.kinds()).count("containment:undo:escalated") == 1
    bench.worlds["firewall"].clear_faults()
    assert (await undo(bench)).outcome == "undone"
    (task,) = await bench.rows(TaskRow)
    assert (task.state, task.closed_by) == ("closed", "run:run_1")


async def test_task_closed_by_hand_is_opened_again_while_the_release_is_stuck(
    bench: ActivityRig,
) -> None:
    await bench.policy({"releases": {"escalate_after": 1}})
    await stuck(bench)
    (task,) = await bench.rows(TaskRow)
    await close_task(bench.rt, task.id, comment="seen", actor="person:ann")
    await undo(bench)
    assert sorted(each.state for each in await bench.rows(TaskRow)) == ["closed", "open"]


@pytest.mark.parametrize(("attempt", "tried_for"), [(10, timedelta()), (2, timedelta(minutes=30))])
async def test_unavailable_device_escalates_while_the_release_is_retried(
    bench: ActivityRig, attempt: int, tried_for: timedelta
) -> None:
    await bench.contained(bench.block())
    bench.worlds["firewall"].inject(kind="status", status=503, times=1000)
    with pytest.raises(ApplicationError):
        await undo(bench)
    assert await bench.rows(TaskRow) == []
    with pytest.raises(ApplicationError) as caught:
        await undo(bench, attempt=attempt, tried_for=tried_for)
    assert caught.value.type == "Unavailable"
    assert not caught.value.non_retryable
    assert [task.kind for task in await bench.rows(TaskRow)] == ["stuck_release"]
    assert await state(bench) == "lifting"


async def test_release_from_a_system_that_is_away_is_tried_again_with_growing_pauses(
    bench: ActivityRig,
) -> None:
    key = (await bench.contained(bench.block())).change.containment_key
    bench.worlds["firewall"].inject(kind="status", status=503, times=1000)
    given, pauses = request(), []
    for _ in range(10):
        with pytest.raises(ApplicationError):
            await undo(bench, given, workflow=Workflow.RELEASE)
        held = await row(bench)
        assert held.retry_at is not None
        assert await due(bench, key) == []
        pauses.append((held.retry_at - bench.now[0]).total_seconds())
        bench.now[0] = held.retry_at
        (given,) = await due(bench, key)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert [task.kind for task in await bench.rows(TaskRow)] == ["stuck_release"]
    bench.worlds["firewall"].clear_faults()
    assert (await undo(bench, given, workflow=Workflow.RELEASE)).outcome == "undone"
    assert ((await row(bench)).tries, (await row(bench)).retry_at) == (0, None)


async def test_roll_back_that_waits_is_taken_over_by_the_store_only_when_its_run_is_silent(
    bench: ActivityRig,
) -> None:
    key = (await bench.contained(bench.block())).change.containment_key
    bench.worlds["firewall"].inject(kind="status", status=503, times=1000)
    with pytest.raises(ApplicationError):
        await undo(bench)
    bench.pass_time(timedelta(minutes=2))
    assert await due(bench, key) == []  # the run tries again in a second
    bench.pass_time(timedelta(seconds=1))
    assert len(await due(bench, key)) == 1


async def test_release_that_its_worker_cut_short_is_free_for_another_at_once(
    bench: ActivityRig,
) -> None:
    key = (await bench.contained(bench.block())).change.containment_key

    class Stopped(UndoChange):
        async def _undo_on_device(
            self, request: UndoRequest, effect: EffectRow, keep: tuple[Any, ...]
        ) -> None:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ActivityEnvironment().run(Stopped(bench.rt).undo, request())
    (again,) = await due(bench, key)
    assert (await undo(bench, again)).outcome == "undone"


async def test_release_of_a_switch_tries_what_waits_for_it_at_once(bench: ActivityRig) -> None:
    key = (await bench.contained(bench.block())).change.containment_key
    stop = {"reason": "drill", "stop_releases": True, "actor": "person:a"}
    await kill_switches.engage(bench.rt, "connection", "firewall", **stop)  # type: ignore[arg-type]
    with pytest.raises(ApplicationError):
        await undo(bench, workflow=Workflow.RELEASE)
    assert await due(bench, key) == []
    await kill_switches.lift(bench.rt, "connection", "firewall", actor="person:a")
    (again,) = await due(bench, key)
    assert (await undo(bench, again)).outcome == "undone"


async def test_removed_connection_leaves_the_release_stuck(
    bench: ActivityRig,
) -> None:
    await bench.contained(bench.block())
    await remove_connection(bench.rt, "firewall", actor="person:ann")
    reply = await undo(bench)
    assert reply.outcome == "stuck"
    assert "does not exist" in reply.detail
    assert await state(bench) == "stuck"


async def test_failed_undo_without_a_lease_is_retried_too(
    bench: ActivityRig,
) -> None:
    firewall: Any = bench.worlds["firewall"]
    firewall.tags[ADDRESS] = [firewall.tag]
    call = bench.call(
        "firewall",
        "firewall",
        "unblock_address",
        Effect.RESTORE,
        {"address": ADDRESS},
        path="unblock",
    )
    await bench.contained(call)
    refuse(bench)
    assert (await undo(bench, request(path="unblock"))).outcome == "stuck"
    held = await row(bench)
    assert (held.state, held.ours, held.retry_at) == ("stuck", True, START + timedelta(minutes=1))
    firewall.clear_faults()
    bench.pass_time(timedelta(minutes=1))
    (again,) = await due(bench, held.key)
    assert (await undo(bench, again)).outcome == "undone"
    assert blocked(bench)
    assert [effect.state for effect in await bench.rows(EffectRow)] == ["undone"]


async def test_kill_switch_stops_a_release_only_if_set_to(
    bench: ActivityRig,
) -> None:
    await bench.contained(bench.block())
    await bench.add(
        KillSwitchRow(
            scope="connection",
            name="firewall",
            reason="drill",
            engaged_by="person:a",
            engaged_at=START,
            stop_releases=True,
        )
    )
    with pytest.raises(ApplicationError) as caught:
        await undo(bench)
    assert (caught.value.type, caught.value.next_retry_delay) == (
        "Unavailable",
        timedelta(seconds=5),
    )
    assert blocked(bench)
    assert [lease.state for lease in await bench.rows(LeaseRow)] == ["ended"]
    async with bench.rt.store.write() as session:
        switch = await session.get(KillSwitchRow, ("connection", "firewall"))
        assert switch is not None
        switch.stop_releases = False
    assert (await undo(bench)).outcome == "undone"
    assert not blocked(bench)


async def test_manual_release_retries_immediately(bench: ActivityRig) -> None:
    key = await stuck(bench)
    assert await due(bench, key) == []
    await release(bench.rt, key, actor="person:ann")
    assert len(await due(bench, key)) == 1


async def test_containment_that_is_gone_is_resolved_by_a_person(bench: ActivityRig) -> None:
    await bench.policy({"releases": {"escalate_after": 1}})
    key = await stuck(bench)
    bench.worlds["firewall"].clear_faults()
    with pytest.raises(Conflict, match="still shows"):
        await resolve_containment(
            bench.rt, request_worker(bench.rt), key, comment="taken off", actor="person:ann"
        )
    firewall: Any = bench.worlds["firewall"]
    firewall.tags.clear()
    with pytest.raises(Invalid):
        await resolve_containment(
            bench.rt, request_worker(bench.rt), key, comment="  ", actor="person:ann"
        )
    shown = await resolve_containment(
        bench.rt, request_worker(bench.rt), key, comment="taken off by hand", actor="person:ann"
    )
    assert (shown.state, shown.ours, shown.error) == ("lifted", False, None)
    (task,) = await bench.rows(TaskRow)
    assert (task.state, task.closed_by, task.comment) == (
        "closed",
        "person:ann",
        "taken off by hand",
    )
    assert (await bench.kinds())[-1] == "containment:resolved"
    assert [effect.state for effect in await bench.rows(EffectRow)] == ["undone"]
    assert await due(bench, key) == []
    with pytest.raises(Conflict, match="lifted already"):
        await resolve_containment(
            bench.rt, request_worker(bench.rt), key, comment="again", actor="person:ann"
        )


async def test_unreachable_device_is_resolved_only_by_force(bench: ActivityRig) -> None:
    key = await stuck(bench)
    await remove_connection(bench.rt, "firewall", actor="person:ann")
    with pytest.raises(Conflict, match="cannot be asked"):
        await resolve_containment(
            bench.rt,
            request_worker(bench.rt),
            key,
            comment="the firewall is gone",
            actor="person:ann",
        )
    assert (
        await resolve_containment(
            bench.rt,
            request_worker(bench.rt),
            key,
            comment="it is gone",
            force=True,
            actor="person:ann",
        )
    ).state == "lifted"


async def test_held_containment_is_not_resolved(bench: ActivityRig) -> None:
    planned = await bench.contained(bench.block())
    with pytest.raises(Conflict, match="release it first"):
        await resolve_containment(
            bench.rt,
            request_worker(bench.rt),
            planned.change.containment_key,
            comment="off",
            force=True,
            actor="person:ann",
        )


async def test_late_refusal_does_not_reopen_a_resolved_containment(bench: ActivityRig) -> None:
    planned = await bench.contained(bench.block())
    key = planned.change.containment_key
    refuse(bench)

    class Overtaken(UndoChange):
        async def _undo_on_device(
            self, request: UndoRequest, effect: EffectRow, keep: tuple[Any, ...]
        ) -> None:
            await resolve_containment(
                bench.rt,
                request_worker(bench.rt),
                key,
                comment="off",
                force=True,
                actor="person:ann",
            )
            await super()._undo_on_device(request, effect, keep)

    assert (await ActivityEnvironment().run(Overtaken(bench.rt).undo, request())).outcome == "stuck"
    assert await state(bench) == "lifted"
    assert (await undo(bench)).outcome == "undone"


async def test_containment_applied_in_two_parts_is_undone_whole(bench: ActivityRig) -> None:
    firewall: Any = bench.worlds["firewall"]
    await bench.contained(bench.block("run_1"))
    firewall.tags[ADDRESS].remove(
        firewall.tag
    )  # a part of it is lost, and the next run applies it again
    bench.pass_time(timedelta(minutes=1))
    await bench.contained(bench.block("run_2"))
    assert (await undo(bench, request("run_1"))).outcome == "kept"
    assert (await undo(bench, request("run_2"))).outcome == "undone"
    assert firewall.tags.get(ADDRESS, []) == []
    assert {effect.state for effect in await bench.rows(EffectRow)} == {"undone"}


async def test_undo_is_not_sent_to_another_connector(
    bench: ActivityRig,
) -> None:
    await bench.contained(bench.block())
    async with bench.rt.store.write() as session:
        effect = (await bench.rows(EffectRow))[0]
        effect.change = {**effect.change, "connector": "nftables"}
        await session.merge(effect)
    made = bench.effects("firewall")
    reply = await undo(bench)
    assert (reply.outcome, bench.effects("firewall")) == ("stuck", made)
    assert "is a palo_alto now" in reply.detail
