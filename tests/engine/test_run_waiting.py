"""Waits of a run for people, time and further alerts, and what counts against a timeout."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from orchestrator.contracts.approval import Decision, Question
from orchestrator.contracts.change import ApplyRequest
from orchestrator.domain.run import BEFORE, Mode, RunStatus, StepState
from orchestrator.engine.temporal.inbox import Inbox
from orchestrator.engine.temporal.workflows.run_playbook import RunPlaybook
from tests.harness.run_answers import agree, decline
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

BLOCK = "  - id: block\n    use: firewall.block_address\n    with: {address: 203.0.113.7}\n"
ASK = "  - id: ask\n    ask: {question: 'Which?', form: {why: {type: text, label: Why}}, within: 1h}\n"
EVENT = "  - id: more\n    wait: {event: \"event.class == 'malware'\", within: 30d, otherwise: continue}\n"


async def test_decision_reaches_the_run_and_is_idempotent(rig: RunRig, world: MemoryWorld) -> None:
    async with rig.worker():
        handle = await rig.start(
            rig.given(f"steps:\n{BLOCK}    approve: {{question: 'Go?', within: 7d}}\n")
        )
        await rig.until(lambda: bool(world.asked))
        decision = agree(world.asked[0]).model_copy(update={"approval_id": "apr_1"})
        world.approvals["apr_1"], world.decided["apr_1"] = world.asked[0], decision
        with rig.server.auto_time_skipping_disabled():
            await handle.execute_update(RunPlaybook.decide, decision)
            await handle.execute_update(RunPlaybook.decide, decision)
        result = await handle.result()
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error


async def test_second_or_unexpected_decision_changes_nothing(
    rig: RunRig, world: MemoryWorld
) -> None:
    first = Decision(approval_id="apr_1", state="approved", form={"why": "so"}, by=("ann",))
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{ASK}  - id: pause\n    wait: 1h\n"))
        await rig.until(lambda: bool(world.asked))
        world.decided["apr_1"] = first
        with rig.server.auto_time_skipping_disabled():
            await handle.execute_update(RunPlaybook.decide, first)
            await handle.execute_update(
                RunPlaybook.decide, first.model_copy(update={"form": {"why": "not so"}})
            )
            with pytest.raises((WorkflowUpdateFailedError, RPCError)):
                await handle.execute_update(
                    RunPlaybook.decide, first.model_copy(update={"approval_id": "apr_9"})
                )
        result = await handle.result()
    assert result.status is RunStatus.COMPLETED
    assert [record.result for record in world.records if record.ref.path == "ask"] == [
        {"why": "so"}
    ]


@pytest.mark.parametrize("state", ["approved", "declined", "expired"])
async def test_forged_decision_only_triggers_a_lookup(
    rig: RunRig, world: MemoryWorld, state: Any
) -> None:
    forged = Decision(
        approval_id="apr_1", state=state, form={"why": "because I say so"}, by=("ann",)
    )
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{ASK}"))
        await rig.until(lambda: bool(world.asked))
        with rig.server.auto_time_skipping_disabled():
            await handle.execute_update(RunPlaybook.decide, forged)
            await rig.until(lambda: world.looked_for == ["apr_1"])
            world.decided["apr_1"] = forged.model_copy(
                update={"state": "approved", "form": {"why": "so"}}
            )
            await handle.execute_update(RunPlaybook.decide, forged)
        result = await handle.result()
    assert result.status is RunStatus.COMPLETED, result.error
    assert [record.result for record in world.records if record.ref.path == "ask"] == [
        {"why": "so"}
    ]


def test_unexpected_decision_is_refused() -> None:
    inbox = Inbox(asked={"apr_1"})
    inbox.validate(Decision(approval_id="apr_1", state="declined"))
    with pytest.raises(ValueError, match="this run does not wait for approval apr_9"):
        inbox.validate(Decision(approval_id="apr_9", state="approved"))


async def test_run_that_needs_approval_to_begin_waits_before_its_first_step(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.asked_first, world.decide = Question(text="Let it?", by="soc", quorum=2), agree
    result = await rig.run(f"steps:\n{BLOCK}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert [(asked.ref.path, asked.by, asked.quorum, asked.changes) for asked in world.asked] == [
        (BEFORE, "soc", 2, ())
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(decline, "declined by ann: not today"), (lambda _: None, "no one decided in time")],
)
async def test_run_without_approval_to_begin_changes_nothing(
    rig: RunRig, world: MemoryWorld, answer: Any, why: str
) -> None:
    world.asked_first, world.decide = Question(text="Let it?"), answer
    result = await rig.run(f"steps:\n{BLOCK}on_failure:\n{ASK}")
    assert (result.status, result.error) == (RunStatus.DECLINED, f"the run did not begin: {why}")
    assert (world.planned, world.applied, len(world.asked)) == ([], [], 1)
    assert [end.status for end in world.ended] == [RunStatus.DECLINED]


async def test_decision_before_the_run_knows_its_approval_counts(
    rig: RunRig, world: MemoryWorld
) -> None:
    async def answered(approval_id: str) -> None:
        handle = rig.server.client.get_workflow_handle("run-run_1-1")
        decision = Decision(
            approval_id=approval_id, state="approved", form={"why": "so"}, by=("ann",)
        )
        world.decided[approval_id] = decision
        await handle.execute_update("decide", decision)

    world.on_ask = answered
    result = await rig.run(f"steps:\n{ASK}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.records[-1].result == {"why": "so"}


async def test_time_for_approvals_does_not_count_against_a_timeout(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree  # found when the approval expires
    result = await rig.run(
        f"steps:\n{BLOCK}    timeout: 30s\n    approve: {{question: 'Go?', within: 1h}}\n"
    )
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error


async def test_timed_out_step_fails_with_its_reason(rig: RunRig, world: MemoryWorld) -> None:
    result = await rig.run(
        "steps:\n  - id: slow\n    timeout: 30s\n    parallel: [{id: pause, wait: 1h}]\n"
    )
    assert result.status is RunStatus.FAILED
    assert "step slow: it took longer than its timeout of 30 s" in str(result.error)


async def test_change_under_way_at_a_timeout_is_finished_and_undone(
    rig: RunRig, world: MemoryWorld
) -> None:
    async def slow(_: Any) -> None:
        await rig.server.sleep(timedelta(seconds=10))

    world.before_apply = slow
    result = await rig.run(f"steps:\n{BLOCK}    timeout: 5s\non_failure: roll_back\n")
    assert (result.status, world.applied, world.undone) == (
        RunStatus.ROLLED_BACK,
        ["203.0.113.7"],
        ["203.0.113.7"],
    ), result.error


async def test_change_whose_worker_died_is_checked_before_giving_up(
    rig: RunRig, world: MemoryWorld
) -> None:
    async def made_and_never_heard_of(request: ApplyRequest) -> None:
        world.in_force.add(request.change.target.value)
        await rig.server.sleep(timedelta(seconds=40))  # longer than the heartbeat timeout

    world.before_apply = made_and_never_heard_of
    result = await rig.run(f"steps:\n{BLOCK}    retry: {{attempts: 1}}\n")
    assert result.status is RunStatus.COMPLETED, result.error


async def test_matching_alert_ends_the_wait(rig: RunRig, world: MemoryWorld) -> None:
    world.alerts = [{"id": "a1", "class": "scan"}, {"id": "a2", "class": "malware"}]
    result = await rig.run(f"steps:\n{EVENT}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.records[-1].result == {"waited": True, "event": {"id": "a2", "class": "malware"}}


async def test_alert_ends_one_wait_only(rig: RunRig, world: MemoryWorld) -> None:
    world.alerts = [{"id": "a2", "class": "malware"}]
    result = await rig.run(f"steps:\n{EVENT}{EVENT.replace('more', 'again')}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.records[-1].result == {"waited": False, "event": None}


async def test_signal_makes_the_run_look_immediately(rig: RunRig, world: MemoryWorld) -> None:
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{EVENT}"))
        await rig.until(lambda: any(record.state is StepState.WAITING for record in world.records))
        with rig.server.auto_time_skipping_disabled():
            world.alerts = [{"id": "a2", "class": "malware"}]
            await handle.signal(RunPlaybook.notify_new_alert)
            result = await handle.result()
    assert world.records[-1].result["waited"], result.error


async def test_wait_of_a_month_has_a_short_history(rig: RunRig) -> None:
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{EVENT}"))
        await handle.result()
        length = (await handle.describe()).history_length
    assert length < 3_000


async def test_dry_run_asks_no_one_and_waits_for_nothing(rig: RunRig, world: MemoryWorld) -> None:
    body = f"steps:\n{BLOCK}    approve: {{question: 'Go?'}}\n{ASK}{EVENT}  - id: pause\n    wait: 7d\n"
    async with rig.worker():
        handle = await rig.start(rig.given(body, mode=Mode.DRY_RUN))
        result = await handle.result()
    assert (result.status, world.asked, world.applied) == (RunStatus.COMPLETED, [], []), (
        result.error
    )
    assert await rig.took(handle) < timedelta(minutes=1)


async def test_dry_run_continues_after_an_undetermined_step(
    rig: RunRig, world: MemoryWorld
) -> None:
    ticket = "  - id: ticket\n    use: tickets.open\n    with: {title: T}\n"
    message = "  - id: message\n    use: chat.post\n    with: {channel: soc, text: '${{ steps.ticket.key }}'}\n"
    result = await rig.run(f"steps:\n{ticket}{message}{BLOCK}", mode=Mode.DRY_RUN)
    assert (result.status, world.applied) == (RunStatus.COMPLETED, []), result.error
    assert [(record.ref.path, record.state) for record in world.records] == [
        ("message", StepState.UNDETERMINED)
    ]
    assert [request.call.ref.path for request in world.planned] == ["ticket", "block"]


async def test_retry_honours_retry_after(rig: RunRig, world: MemoryWorld) -> None:
    world.fail_reads, world.retry_after = 1, timedelta(seconds=90)
    look = "  - id: look\n    use: reputation.lookup_address\n    with: {address: 203.0.113.7}\n    retry: {attempts: 2, wait: 1s}\n"
    result = await rig.run(f"steps:\n{look}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.read_at[1] - world.read_at[0] >= timedelta(seconds=90)


async def test_attempts_count_over_local_and_remote_calls(rig: RunRig, world: MemoryWorld) -> None:
    world.fail_reads = 99
    look = "  - id: look\n    use: reputation.lookup_address\n    with: {address: 203.0.113.7}\n    retry: {attempts: 3, wait: 1s}\n"
    result = await rig.run(f"steps:\n{look}")
    assert (result.status, len(world.reads)) == (RunStatus.FAILED, 3)


async def test_run_waits_for_another_one_that_applies_or_lifts_the_same(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.busy, world.lifting = 20, 9  # more often than a step has tries
    async with rig.worker():
        result = await (await rig.start(rig.given(f"steps:\n{BLOCK}"))).result()
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error


async def test_wait_for_another_run_ends_with_the_steps_timeout_and_holds_nothing(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.busy = 1000
    async with rig.worker():
        result = await (await rig.start(rig.given(f"steps:\n{BLOCK}    timeout: 60s\n"))).result()
    assert result.status is RunStatus.FAILED
    assert "60 s" in (result.error or "")
    assert (world.applied, world.leases, world.held) == ([], set(), [])


async def test_outdated_change_is_planned_again(rig: RunRig, world: MemoryWorld) -> None:
    world.outdated = 2
    async with rig.worker():
        result = await (await rig.start(rig.given(f"steps:\n{BLOCK}"))).result()
    assert (result.status, len(world.planned)) == (RunStatus.COMPLETED, 3), result.error


async def test_change_that_is_outdated_again_and_again_is_given_up(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.outdated = 100
    async with rig.worker():
        result = await (await rig.start(rig.given(f"steps:\n{BLOCK}"))).result()
    assert result.status is RunStatus.FAILED
    assert "again and again: run_2 holds it" in (result.error or "")
