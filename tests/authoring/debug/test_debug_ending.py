"""Does a debug session that ends in the middle of something leave nothing behind?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.authoring.debug.sessions import Sessions
from orchestrator.store.tables import RunRow
from tests.harness.activity_rig import rig
from tests.harness.debug_rig import ADDRESS, begun, opened, path, say


class SlowTemporal:
    """Is asked to start a workflow, and says after a while that it is not there."""

    def __init__(self) -> None:
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def start_workflow(self, *_given: Any, **_named: Any) -> None:
        self.asked.set()
        await self.answers.wait()
        raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

    def get_workflow_handle(self, *_given: Any, **_named: Any) -> Any:
        raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")


async def test_a_step_whose_run_is_just_being_started_when_the_session_ends_is_taken_back_too(
    tmp_path: Path,
) -> None:
    slow = SlowTemporal()
    async with rig(tmp_path) as bare:
        made = await opened(bare)
        sessions = Sessions(made.rt, lambda: cast("Client", slow))
        state = await begun(sessions, breakpoints=["block"])
        assert path(state) == "contain/block"
        applying = asyncio.ensure_future(say(sessions, state, "apply", target=ADDRESS))
        async with asyncio.timeout(30):
            await slow.asked.wait()
            ending = asyncio.ensure_future(sessions.end(state.id, person="eve"))
            asyncio.get_running_loop().call_soon(slow.answers.set)  # after the end has begun
            over = await ending
            await applying
        (run,) = [row for row in await made.rows(RunRow) if row.playbook == "draft"]
        assert (run.status, run.error) == ("cancelled", "cancelled by person:eve before it began")
        assert [(each.run_id, each.taken_back) for each in over.applied] == [(run.id, True)]
