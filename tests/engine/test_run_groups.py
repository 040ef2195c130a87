"""Group approvals: one approval of all foreseen changes, and nothing else is applied."""

from __future__ import annotations

import pytest

from orchestrator.contracts.approval import AskRequest, Decision
from orchestrator.contracts.change import PlanRequest
from orchestrator.domain.change import Verdict
from orchestrator.domain.run import RunStatus, StepState
from tests.harness.run_answers import agree, agree_with, decline
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

LOOK = "{id: look, use: reputation.lookup_address, with: {address: 203.0.113.7}}"
BLOCK = "{id: block, use: firewall.block_address, with: {address: 203.0.113.7}}"
ISOLATE = "{id: isolate, use: edr.isolate_host, with: {host: ws-042}}"
APPROVE = "approve: {question: 'Go?', by: soc-leads, quorum: 2}"
BOTH = f"steps:\n  - id: contain\n    {APPROVE}\n    parallel: [{BLOCK}, {ISOLATE}]\n"


async def test_changes_left_out_end_declined_and_the_group_continues(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree_with("ws-042")
    result = await rig.run(BOTH)
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["ws-042"]), result.error
    assert [(record.ref.path, record.state) for record in world.records] == [
        ("contain/block", StepState.DECLINED),
        ("contain", StepState.DONE),
    ]
    assert world.leases == {"contain/isolate"}


async def test_changed_change_is_asked_about_again(rig: RunRig, world: MemoryWorld) -> None:
    def move(_: PlanRequest) -> None:
        world.generation = int(bool(world.asked))

    world.before_plan, world.decide = move, agree
    result = await rig.run(f"steps:\n  - id: contain\n    {APPROVE}\n    parallel: [{BLOCK}]\n")
    assert [(asked.by, asked.quorum) for asked in world.asked] == [
        ("soc-leads", 2),
        ("soc-leads", 2),
    ]
    assert [asked.changes[0].change.summary for asked in world.asked] == [
        "block_address 203.0.113.7",
        "block_address 203.0.113.7 again",
    ]
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error


@pytest.mark.parametrize(
    "inside",
    [
        f"repeat: {{at_most: 1, until: 'true', steps: [{LOOK}, {{id: one, when: steps.look.malicious > 1, use: firewall.block_address, with: {{address: 203.0.113.7}}}}]}}",
        f"choose: [{{when: 'true', steps: [{LOOK}, {{id: one, when: steps.look.malicious > 1, use: firewall.block_address, with: {{address: 203.0.113.7}}}}]}}]",
        f"for_each: [203.0.113.7]\n    as: each\n    at_most: 1\n    steps: [{LOOK}, {{id: one, when: steps.look.malicious > 1, use: firewall.block_address, with: {{address: '${{{{ each }}}}'}}}}]",
    ],
    ids=["repeat", "choose", "for_each"],
)
async def test_unforeseen_change_is_asked_about_when_its_step_runs(
    rig: RunRig, world: MemoryWorld, inside: str
) -> None:
    world.decide = decline
    result = await rig.run(f"steps:\n  - id: contain\n    {APPROVE}\n    {inside}\n")
    assert (result.status, world.applied) == (RunStatus.DECLINED, [])
    assert [(asked.by, asked.quorum, len(asked.changes)) for asked in world.asked] == [
        ("soc-leads", 2, 1)
    ]


@pytest.mark.parametrize(
    "inside",
    [
        f"repeat: {{at_most: 1, until: 'true', steps: [{BLOCK}]}}",
        f"choose: [{{when: 'true', steps: [{BLOCK}]}}]",
    ],
)
async def test_every_kind_of_group_is_approved_before_its_first_step(
    rig: RunRig, world: MemoryWorld, inside: str
) -> None:
    world.decide = agree
    result = await rig.run(f"steps:\n  - id: contain\n    {APPROVE}\n    {inside}\n")
    assert (result.status, world.applied, len(world.asked)) == (
        RunStatus.COMPLETED,
        ["203.0.113.7"],
        1,
    ), result.error


async def test_called_playbook_is_approved_as_a_whole(rig: RunRig, world: MemoryWorld) -> None:
    world.decide = agree
    called = rig.plan(
        f"playbook: other\nversion: 1\ntitle: O\nowner: soc\nsteps:\n  - {BLOCK}\n  - {ISOLATE}\n"
    )
    result = await rig.run(
        f"steps:\n  - id: sub\n    {APPROVE}\n    call: other@1\n", called=called
    )
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7", "ws-042"]), (
        result.error
    )
    assert [len(asked.changes) for asked in world.asked] == [2]


async def test_nested_groups_share_one_approval_of_which_a_part_can_be_chosen(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree_with("203.0.113.8", "ws-042")
    called = rig.plan(f"playbook: other\nversion: 1\ntitle: O\nowner: soc\nsteps:\n  - {ISOLATE}\n")
    each = "{id: one, use: firewall.block_address, with: {address: '${{ each }}'}}"
    items = f"{{id: all, for_each: [203.0.113.8, 203.0.113.9], as: each, at_most: 5, steps: [{{id: pick, choose: [{{when: 'true', steps: [{each}]}}]}}]}}"
    inside = f"parallel: [{BLOCK}, {items}, {{id: sub, call: other@1}}]"
    result = await rig.run(f"steps:\n  - id: contain\n    {APPROVE}\n    {inside}\n", called=called)
    assert result.status is RunStatus.COMPLETED, result.error
    assert [len(asked.changes) for asked in world.asked] == [4]
    assert sorted(world.applied) == ["203.0.113.8", "ws-042"]


async def test_step_with_its_own_approval_is_not_in_the_group(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree
    own = "{id: isolate, use: edr.isolate_host, with: {host: ws-042}, approve: {question: 'Isolate?', by: edr-team}}"
    await rig.run(f"steps:\n  - id: contain\n    {APPROVE}\n    parallel: [{BLOCK}, {own}]\n")
    assert sorted((asked.by or "", len(asked.changes)) for asked in world.asked) == [
        ("edr-team", 1),
        ("soc-leads", 1),
    ]


async def test_quorum_of_the_policy_raises_that_of_the_author(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.verdict, world.policy_by, world.policy_quorum, world.decide = (
        Verdict.ASK,
        "ciso",
        3,
        agree,
    )
    await rig.run(BOTH)
    assert [(asked.by, asked.quorum) for asked in world.asked] == [("ciso", 3)]


async def test_declined_item_declines_the_run(rig: RunRig, world: MemoryWorld) -> None:
    world.verdict = Verdict.ASK
    world.decide = lambda request: (
        decline(request)
        if request.changes[0].change.target.value.endswith(".2")
        else agree(request)
    )
    result = await rig.run(
        "steps:\n  - id: each\n    for_each: [203.0.113.1, 203.0.113.2]\n    as: a\n    at_most: 2\n"
        "    steps: [{id: block, use: firewall.block_address, with: {address: '${{ a }}'}}]\non_failure: roll_back\n"
    )
    assert (result.status, world.undone) == (RunStatus.DECLINED, ["203.0.113.1"]), result.error


async def test_long_list_is_approved_per_batch_and_its_items_are_never_evaluated(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree
    items = [f"198.51.100.{n}" for n in range(120)]
    items[7] = items[117] = "${{ run.id }}"  # the second is in the desired state already
    body = (
        "inputs:\n  listed: {type: list}\n"
        f"steps:\n  - id: each\n    {APPROVE}\n    for_each: ${{{{ inputs.listed }}}}\n    as: host\n    at_most: 200\n"
        "    steps: [{id: isolate, use: edr.isolate_host, with: {host: '${{ host }}'}}]\n"
    )
    result = await rig.run(body, inputs={"listed": items})
    assert result.status is RunStatus.COMPLETED, result.error
    assert [len(asked.changes) for asked in world.asked] == [100, 19]
    assert "${{ run.id }}" in world.applied
    assert "run_1" not in world.applied


async def test_too_many_changes_for_one_approval_fail_the_step(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.decide = agree
    listed = "[" + ", ".join(f"'host-{n}'" for n in range(90)) + "]"
    each = f"{{id: E, for_each: {listed}, as: host, at_most: 90, steps: [{{id: I, use: edr.isolate_host, with: {{host: '${{{{ host }}}}'}}}}]}}"
    three = ", ".join(each.replace("E", f"e{n}").replace("I,", f"i{n},") for n in range(3))
    result = await rig.run(f"steps:\n  - id: contain\n    {APPROVE}\n    parallel: [{three}]\n")
    assert (result.status, world.asked, world.applied) == (RunStatus.FAILED, [], [])
    assert "270 changes, more than 200" in str(result.error)


async def test_approvals_of_an_ever_changing_change_end(rig: RunRig, world: MemoryWorld) -> None:
    """After each approval, the change is another one."""

    def answer(request: AskRequest) -> Decision:
        world.generation += 1
        return agree(request)

    world.decide = answer
    result = await rig.run(
        f"steps:\n  - id: block\n    use: firewall.block_address\n    with: {{address: 203.0.113.7}}\n    {APPROVE}\n"
    )
    assert (result.status, len(world.asked), world.applied) == (RunStatus.FAILED, 3, [])
