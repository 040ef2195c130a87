"""A decision counts as delivered when its workflow has read it, and no earlier."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client

from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import get_approval
from orchestrator.contracts.approval import Decision
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.run import WaitingForApproval
from orchestrator.engine.temporal.inbox import Inbox
from orchestrator.playbook.plan import Approve
from orchestrator.runs.queries import get_run
from orchestrator.runs.reconcile import reconcile
from orchestrator.store.tables import ApprovalRow
from tests.engine.test_step_rows import BLOCK
from tests.harness.activity_rig import ActivityRig
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_step

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))
ASKING = BLOCK.model_copy(update={"approve": Approve(question="Block it?")})


async def _approve(made: ActivityRig, client: Client) -> None:
    """Approve the change of the run as soon as it waits for that."""
    step = await until_step(made, "block", lambda each: each.state == "waiting")
    assert isinstance(step.waiting_for, WaitingForApproval)
    approval = await get_approval(made.rt, step.waiting_for.approval_id)
    await decide(made.rt, client, approval.id, ANN, DecisionType.APPROVE, approval.digest)


async def _only_approval(made: ActivityRig) -> ApprovalRow:
    (row,) = await made.rows(ApprovalRow)
    return row


async def test_decision_that_the_workflow_lost_is_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []

    def lose(_: Inbox, decision: Decision) -> None:
        lost.append(decision.approval_id)

    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, ASKING)
        with monkeypatch.context() as patched:
            patched.setattr(Inbox, "report", lose)
            await _approve(made, client)
        assert len(lost) >= 1
        assert not (await _only_approval(made)).delivered
        assert await reconcile(made.rt, client) == 1
        await until_ended(client)
        assert (await _only_approval(made)).delivered
        assert await reconcile(made.rt, client) == 0
        assert (await get_run(made.rt, "run_s")).status == "completed"


async def test_approved_run_that_temporal_lost_goes_on_without_asking_again(
    tmp_path: Path,
) -> None:
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, ASKING)
        await until_step(made, "block", lambda each: each.state == "waiting")
        await client.get_workflow_handle("run-run_s-1").terminate("lost")
        await _approve(made, client)
        assert await reconcile(made.rt, client) == 1  # continues the run
        while (await get_run(made.rt, "run_s")).status == "running":
            await reconcile(made.rt, client)
        run = await get_run(made.rt, "run_s")
        assert (run.status, run.attempt, made.effects("firewall")) == ("completed", 2, 1)
        assert (await _only_approval(made)).delivered
