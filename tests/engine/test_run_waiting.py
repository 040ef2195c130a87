"""What a run waits for: people, time and further alerts; and what of it counts against a timeout."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from orchestrator.contracts.messages import ApplyRequest, Decision
from orchestrator.contracts.question import Question
from orchestrator.domain.run import BEFORE, Mode, RunStatus, StepState
from orchestrator.engine.temporal.inbox import Mail
from orchestrator.engine.temporal.workflows.run_playbook import RunPlaybook
from tests.harness.run_answers import agree, decline
from tests.harness.run_rig import Rig
from tests.harness.world import World

BLOCK = "  - id: block\n    use: firewall.block_address\n    with: {address: 203.0.113.7}\n"
ASK = "  - id: ask\n    ask: {question: 'Which?', form: {why: {type: text, label: Why}}, within: 1h}\n"
EVENT = "  - id: more\n    wait: {event: \"event.class == 'malware'\", within: 30d, otherwise: continue}\n"


async def test_a_decision_reaches_the_run_and_the_same_one_again_is_no_harm(
    rig: Rig, world: World
) -> None:
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


async def test_a_second_decision_and_one_that_nobody_waits_for_change_nothing(
    rig: Rig, world: World
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
async def test_an_answer_that_was_forged_past_the_store_is_looked_into_and_forgotten(
    rig: Rig, world: World, state: Any
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


def test_a_decision_that_nobody_waits_for_is_refused_with_its_reason() -> None:
    mail = Mail(asked={"apr_1"})
    mail.check(Decision(approval_id="apr_1", state="declined"))
    with pytest.raises(ValueError, match="nobody waits for approval apr_9 here"):
        mail.check(Decision(approval_id="apr_9", state="approved"))


async def test_a_run_that_people_have_to_let_begin_waits_for_them_before_its_first_step(
    rig: Rig, world: World
) -> None:
    world.asked_first, world.decide = Question(text="Let it?", by="soc", quorum=2), agree
    result = await rig.run(f"steps:\n{BLOCK}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert [(asked.ref.path, asked.by, asked.quorum, asked.changes) for asked in world.asked] == [
        (BEFORE, "soc", 2, ())
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(decline, "declined by ann: not today"), (lambda _: None, "nobody decided in time")],
)
async def test_a_run_that_nobody_lets_begin_ends_with_nothing_done(
    rig: Rig, world: World, answer: Any, why: str
) -> None:
    world.asked_first, world.decide = Question(text="Let it?"), answer
    result = await rig.run(f"steps:\n{BLOCK}on_failure:\n{ASK}")
    assert (result.status, result.error) == (RunStatus.DECLINED, f"it was not let begin: {why}")
    assert (world.planned, world.applied, len(world.asked)) == ([], [], 1)
    assert [end.status for end in world.ended] == [RunStatus.DECLINED]


async def test_an_answer_that_comes_before_the_run_knows_its_question_counts(
    rig: Rig, world: World
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


async def test_time_that_people_take_does_not_count_against_a_timeout(
    rig: Rig, world: World
) -> None:
    world.decide = agree  # heard when the question's time is up
    result = await rig.run(
        f"steps:\n{BLOCK}    timeout: 30s\n    approve: {{question: 'Go?', within: 1h}}\n"
    )
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error


async def test_a_step_that_takes_too_long_fails_and_says_so(rig: Rig, world: World) -> None:
    result = await rig.run(
        "steps:\n  - id: slow\n    timeout: 30s\n    parallel: [{id: pause, wait: 1h}]\n"
    )
    assert result.status is RunStatus.FAILED
    assert "step slow: it took longer than its timeout of 30 s" in str(result.error)


async def test_what_was_begun_when_a_timeout_struck_is_seen_to_its_end_and_taken_back(
    rig: Rig, world: World
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


async def test_a_change_whose_worker_died_over_it_is_looked_at_before_it_is_given_up(
    rig: Rig, world: World
) -> None:
    async def made_and_never_heard_of(request: ApplyRequest) -> None:
        world.in_force.add(request.change.target.value)
        await rig.server.sleep(timedelta(seconds=40))  # no sign of life for so long

    world.before_apply = made_and_never_heard_of
    result = await rig.run(f"steps:\n{BLOCK}    retry: {{attempts: 1}}\n")
    assert result.status is RunStatus.COMPLETED, result.error


async def test_a_further_alert_that_fits_ends_the_wait(rig: Rig, world: World) -> None:
    world.alerts = [{"id": "a1", "class": "scan"}, {"id": "a2", "class": "malware"}]
    result = await rig.run(f"steps:\n{EVENT}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.records[-1].result == {"waited": True, "event": {"id": "a2", "class": "malware"}}


async def test_an_alert_ends_one_wait_only(rig: Rig, world: World) -> None:
    world.alerts = [{"id": "a2", "class": "malware"}]
    result = await rig.run(f"steps:\n{EVENT}{EVENT.replace('more', 'again')}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.records[-1].result == {"waited": False, "event": None}


async def test_a_nudge_makes_the_run_look_at_once(rig: Rig, world: World) -> None:
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{EVENT}"))
        await rig.until(lambda: any(record.state is StepState.WAITING for record in world.records))
        with rig.server.auto_time_skipping_disabled():
            world.alerts = [{"id": "a2", "class": "malware"}]
            await handle.signal(RunPlaybook.nudge)
            result = await handle.result()
    assert world.records[-1].result["waited"], result.error


async def test_a_wait_of_a_month_has_a_short_history(rig: Rig) -> None:
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{EVENT}"))
        await handle.result()
        length = (await handle.describe()).history_length
    assert length < 3_000


async def test_a_dry_run_asks_nobody_and_waits_for_nothing(rig: Rig, world: World) -> None:
    body = f"steps:\n{BLOCK}    approve: {{question: 'Go?'}}\n{ASK}{EVENT}  - id: pause\n    wait: 7d\n"
    async with rig.worker():
        handle = await rig.start(rig.given(body, mode=Mode.DRY_RUN))
        result = await handle.result()
    assert (result.status, world.asked, world.applied) == (RunStatus.COMPLETED, [], []), (
        result.error
    )
    assert await rig.took(handle) < timedelta(minutes=1)


async def test_a_dry_run_goes_on_where_it_cannot_tell(rig: Rig, world: World) -> None:
    ticket = "  - id: ticket\n    use: tickets.open\n    with: {title: T}\n"
    told = "  - id: told\n    use: chat.post\n    with: {channel: soc, text: '${{ steps.ticket.key }}'}\n"
    result = await rig.run(f"steps:\n{ticket}{told}{BLOCK}", mode=Mode.DRY_RUN)
    assert (result.status, world.applied) == (RunStatus.COMPLETED, []), result.error
    assert [(record.ref.path, record.state) for record in world.records] == [
        ("told", StepState.SKIPPED)
    ]
    assert [request.call.ref.path for request in world.planned] == ["ticket", "block"]


async def test_a_busy_vendor_is_asked_again_no_sooner_than_it_said(rig: Rig, world: World) -> None:
    world.fail_reads, world.retry_after = 1, timedelta(seconds=90)
    look = "  - id: look\n    use: reputation.lookup_address\n    with: {address: 203.0.113.7}\n    retry: {attempts: 2, wait: 1s}\n"
    result = await rig.run(f"steps:\n{look}")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.read_at[1] - world.read_at[0] >= timedelta(seconds=90)


async def test_attempts_are_counted_over_both_ways_of_calling(rig: Rig, world: World) -> None:
    world.fail_reads = 99
    look = "  - id: look\n    use: reputation.lookup_address\n    with: {address: 203.0.113.7}\n    retry: {attempts: 3, wait: 1s}\n"
    result = await rig.run(f"steps:\n{look}")
    assert (result.status, len(world.reads)) == (RunStatus.FAILED, 3)
