"""A cancellation while the end of the run is recorded: record and outcome are the same."""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import RunEnd, RunResult
from orchestrator.domain.run import RunStatus
from orchestrator.playbook.catalogue import Catalogue
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

BLOCK = "  - {id: block, use: firewall.block_address, with: {address: 203.0.113.7}}\n"


class CancelledWhileItEnds(MemoryWorld):
    """Cancel the run while its end is recorded."""

    handle: WorkflowHandle[Any, RunResult] | None = None

    @activity.defn(name=Activity.END)
    async def end(self, end: RunEnd) -> RunStatus:
        self.ended.append(end)
        if self.handle is not None:
            handle, self.handle = self.handle, None
            await handle.signal("cancel_run", "person:ann")
        return self.ended[0].status


async def test_late_cancellation_does_not_roll_back_a_completed_run(
    server: WorkflowEnvironment, catalogue: Catalogue
) -> None:
    world = CancelledWhileItEnds()
    rig = RunRig(server, world, catalogue)
    async with rig.worker():
        world.handle = await rig.start(rig.given(f"steps:\n{BLOCK}"))
        result = await world.handle.result()
    assert world.ended[0].status is RunStatus.COMPLETED
    assert (result.status, world.undone) == (RunStatus.COMPLETED, [])
