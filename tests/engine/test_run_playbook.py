"""Whole runs on Temporal's time-skipping server: what is applied, asked, undone, the end."""

from __future__ import annotations

from orchestrator.domain.change import Verdict
from orchestrator.domain.run import Mode, RunStatus, StepState
from tests.harness.run_answers import agree, decline
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

BLOCK = "  - id: block\n    use: firewall.block_address\n    with: {address: 203.0.113.7}\n"
ISOLATE = "  - id: isolate\n    use: edr.isolate_host\n    with: {host: ws-042}\n"


async def test_change_is_applied_once_verified_and_held(rig: RunRig, world: MemoryWorld) -> None:
    result = await rig.run(f"steps:\n{BLOCK}    for: 24h\n")
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.applied == ["203.0.113.7"]
    assert [hold.seconds for hold in world.held] == [86_400]
    assert [end.status for end in world.ended] == [RunStatus.COMPLETED]


async def test_lease_without_end_and_a_ticket_have_no_timer(
    rig: RunRig, world: MemoryWorld
) -> None:
    result = await rig.run(
        f"steps:\n{BLOCK}  - id: ticket\n    use: tickets.open\n    with: {{title: Done}}\n"
    )
    assert result.status is RunStatus.COMPLETED, result.error
    assert world.held == []


async def test_target_in_the_desired_state_is_left_alone(rig: RunRig, world: MemoryWorld) -> None:
    world.in_force.add("203.0.113.7")
    result = await rig.run(f"steps:\n{BLOCK}")
    assert (result.status, world.applied) == (RunStatus.COMPLETED, [])


async def test_lost_reply_is_checked_and_not_repeated(rig: RunRig, world: MemoryWorld) -> None:
    world.lose_replies = 1
    result = await rig.run(f"steps:\n{BLOCK}")
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"])


async def test_unverified_change_fails_and_is_rolled_back(rig: RunRig, world: MemoryWorld) -> None:
    world.lies = True
    result = await rig.run(f"steps:\n{BLOCK}on_failure: roll_back\n")
    assert result.status is RunStatus.ROLLED_BACK
    assert "step block" in str(result.error)
    assert "verification failed" in str(result.error)


async def test_unverified_change_gets_its_lease_end(rig: RunRig, world: MemoryWorld) -> None:
    """It may still take effect, and an endless lease would block other runs indefinitely."""
    world.lies = True
    result = await rig.run(f"steps:\n{BLOCK}    for: 2h\n")
    assert (result.status, [(held.ref.path, held.seconds) for held in world.held]) == (
        RunStatus.FAILED,
        [("block", 7_200)],
    )


async def test_change_after_lost_replies_gets_its_lease_end(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.lies, world.lose_replies = True, 99
    result = await rig.run(f"steps:\n{BLOCK}    for: 2h\n")
    assert (result.status, [(held.ref.path, held.seconds) for held in world.held]) == (
        RunStatus.FAILED,
        [("block", 7_200)],
    )


async def test_release_during_verification_is_reported_as_a_release(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.lies, world.released = (
        True,
        "it was released by bob before the device was read back, and is not in force",
    )
    result = await rig.run(f"steps:\n{BLOCK}")
    assert (result.status, result.error) == (RunStatus.FAILED, f"step block: {world.released}")


async def test_failure_rolls_back_newest_first(rig: RunRig, world: MemoryWorld) -> None:
    world.fail_reads = 99
    look = "  - id: look\n    use: reputation.lookup_address\n    with: {address: 203.0.113.7}\n    retry: {attempts: 2, wait: 1s}\n"
    result = await rig.run(f"steps:\n{BLOCK}{ISOLATE}{look}on_failure: roll_back\n")
    assert result.status is RunStatus.ROLLED_BACK
    assert world.undone == ["ws-042", "203.0.113.7"]
    assert world.in_force == set()


async def test_denied_change_is_not_applied(rig: RunRig, world: MemoryWorld) -> None:
    world.verdict = Verdict.DENY
    result = await rig.run(f"steps:\n{BLOCK}")
    assert (result.status, world.applied) == (RunStatus.FAILED, [])
    assert "as the test says" in str(result.error)
    assert world.records[-1].state is StepState.REFUSED


async def test_change_is_applied_only_after_approval(rig: RunRig, world: MemoryWorld) -> None:
    world.decide = agree
    approve = "    approve: {question: 'Block it?', by: soc-leads, within: 15m}\n"
    result = await rig.run(f"steps:\n{BLOCK}{approve}")
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error
    assert [(asked.question, asked.by) for asked in world.asked] == [("Block it?", "soc-leads")]


async def test_declined_change_is_not_applied(rig: RunRig, world: MemoryWorld) -> None:
    world.decide = decline
    result = await rig.run(f"steps:\n{BLOCK}    approve: {{question: 'Block it?'}}\n")
    assert (result.status, world.applied) == (RunStatus.DECLINED, [])
    assert "not today" in str(result.error)


async def test_expired_approval_escalates_once_and_then_stops_the_run(
    rig: RunRig, world: MemoryWorld
) -> None:
    approve = (
        "    approve: {question: 'Block it?', by: soc, otherwise: escalate, escalate_to: leads}\n"
    )
    result = await rig.run(f"steps:\n{BLOCK}{approve}")
    assert (result.status, world.applied) == (RunStatus.DECLINED, [])
    assert [(asked.by, asked.escalated) for asked in world.asked] == [
        ("soc", False),
        ("leads", True),
    ]


async def test_approval_escalates_group_by_group_each_with_its_own_time(
    rig: RunRig, world: MemoryWorld
) -> None:
    approve = "    approve: {question: 'Block it?', by: soc, within: 5m, otherwise: escalate, escalate_to: [leads, ciso]}\n"
    world.decide = lambda asked: agree(asked) if asked.by == "ciso" else None
    result = await rig.run(f"steps:\n{BLOCK}{approve}")
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error
    assert [(asked.by, asked.level, asked.within) for asked in world.asked] == [
        ("soc", 0, 300),
        ("leads", 1, 300),
        ("ciso", 2, 300),
    ]


async def test_escalation_does_not_leave_the_group_that_the_policy_names(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.verdict, world.policy_by = Verdict.ASK, "board"
    approve = "    approve: {question: 'Block it?', by: soc, otherwise: escalate, escalate_to: [friends]}\n"
    result = await rig.run(f"steps:\n{BLOCK}{approve}")
    assert (result.status, world.applied) == (RunStatus.DECLINED, [])
    assert [asked.by for asked in world.asked] == ["board"]


async def test_group_is_approved_once_with_all_its_changes(rig: RunRig, world: MemoryWorld) -> None:
    world.decide = agree
    inner = (
        (BLOCK + ISOLATE)
        .replace("\n  ", "\n      ")
        .replace("  - id: block", "      - id: block", 1)
    )
    result = await rig.run(
        f"steps:\n  - id: contain\n    approve: {{question: 'Both?'}}\n    parallel:\n{inner}"
    )
    assert result.status is RunStatus.COMPLETED, result.error
    assert [len(asked.changes) for asked in world.asked] == [2]
    assert sorted(world.applied) == ["203.0.113.7", "ws-042"]


async def test_dry_run_plans_and_changes_nothing(rig: RunRig, world: MemoryWorld) -> None:
    result = await rig.run(f"steps:\n{BLOCK}{ISOLATE}", mode=Mode.DRY_RUN)
    assert (result.status, world.applied, world.held) == (RunStatus.COMPLETED, [], [])


async def test_steps_of_an_earlier_attempt_are_not_repeated(
    rig: RunRig, world: MemoryWorld
) -> None:
    result = await rig.run(f"steps:\n{BLOCK}{ISOLATE}", carried={"block": {"changed": True}})
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["ws-042"])


async def test_cancelled_run_is_rolled_back(rig: RunRig, world: MemoryWorld) -> None:
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{BLOCK}  - id: pause\n    wait: 7d\n"))
        with rig.server.auto_time_skipping_disabled():
            while "203.0.113.7" not in world.in_force:
                await rig.server.sleep(0.05)
            await handle.signal("cancel_run", "person:ann")
        result = await handle.result()
    assert (result.status, world.in_force) == (RunStatus.CANCELLED, set())
    assert "person:ann" in str(result.error)


async def test_too_many_items_fail_before_any_change(rig: RunRig, world: MemoryWorld) -> None:
    each = "  - id: each\n    for_each: ${{ inputs.addresses }}\n    as: address\n    at_most: 1\n    steps:\n"
    body = f"inputs:\n  addresses: {{type: list}}\nsteps:\n{each}      - id: block\n        use: firewall.block_address\n        with: {{address: '${{{{ address }}}}'}}\n"
    result = await rig.run(body, inputs={"addresses": ["203.0.113.1", "203.0.113.2"]})
    assert (result.status, world.applied) == (RunStatus.FAILED, [])
    assert "at_most" in str(result.error)


async def test_long_for_each_runs_in_batches(rig: RunRig, world: MemoryWorld) -> None:
    listed = ", ".join(
        f"'198.51.100.{n % 250}'" if n < 250 else f"'203.0.113.{n - 250}'" for n in range(250)
    )
    each = (
        f"  - id: each\n    for_each: [{listed}]\n    as: address\n    at_most: 500\n    steps:\n"
    )
    body = f"steps:\n{each}      - id: block\n        use: firewall.block_address\n        with: {{address: '${{{{ address }}}}'}}\n"
    result = await rig.run(body)
    assert result.status is RunStatus.COMPLETED, result.error
    assert len(world.applied) == len(set(world.applied)) == 250
