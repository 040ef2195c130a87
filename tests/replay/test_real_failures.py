"""Failures on the real server replay as they were decided: the worker may die after any of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.worker import Replayer

from orchestrator.engine.temporal import activity_calls
from orchestrator.engine.temporal.codec import data_converter
from orchestrator.engine.temporal.registry import WORKFLOWS, workflow_runner
from orchestrator.playbook.plan import Retry, Use
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runs.queries import get_run
from tests.engine.test_step_rows import BLOCK, FIND
from tests.harness.activity_rig import ActivityRig
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_step

SOON = Retry(attempts=3, wait=1)
REMOTE = 30
"""Seconds of a timeout with which an activity is scheduled by the server from the start."""


async def replay(made: ActivityRig, client: Client) -> None:
    """Replay the whole history, as a worker does that takes the run over."""
    history = await client.get_workflow_handle("run-run_s-1").fetch_history()
    replayer = Replayer(
        workflows=list(WORKFLOWS),
        namespace=client.namespace,
        data_converter=data_converter(made.rt.payloads),
        workflow_runner=workflow_runner(),
    )
    await replayer.replay_workflow(history)


@pytest.mark.parametrize(
    ("step", "fault", "status"),
    [
        (FIND, {"kind": "latency", "seconds": 3}, "completed"),
        (FIND, {"kind": "status", "status": 503}, "completed"),
        (FIND, {"kind": "status", "status": 403}, "failed"),
        (BLOCK, {"kind": "latency", "seconds": 3}, "completed"),
    ],
    ids=["timeout", "unavailable", "rejected", "timeout of a plan"],
)
async def test_failed_local_activity_replays(
    step: Use,
    fault: dict[str, object],
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activity_calls, "LOCAL_SECONDS", 1)
    async with on_temporal(tmp_path) as (made, client):
        made.worlds[step.connection].inject(**fault)
        await start_plan(made, client, step.model_copy(update={"retry": SOON}))
        await until_ended(client)
        assert (await get_run(made.rt, "run_s")).status == status
        await replay(made, client)


@pytest.mark.parametrize(
    ("step", "fault", "cancelled"),
    [
        (FIND, {"kind": "latency", "seconds": 5}, True),
        (FIND, {"kind": "status", "status": 429, "retry_after": 60}, True),
        (FIND.model_copy(update={"timeout": 1}), {"kind": "latency", "seconds": 5}, False),
        (FIND.model_copy(update={"timeout": 2}), {"kind": "status", "status": 503}, False),
        (BLOCK.model_copy(update={"timeout": 1}), {"kind": "latency", "seconds": 5}, False),
        (FIND.model_copy(update={"timeout": REMOTE}), {"kind": "status", "status": 403}, False),
        (FIND.model_copy(update={"timeout": REMOTE}), {"kind": "latency", "seconds": 5}, True),
        (FIND.model_copy(update={"timeout": REMOTE}), {"kind": "status", "status": 503}, True),
    ],
    ids=[
        "cancelled in a local activity",
        "cancelled in a pause",
        "timeout of the step in a local activity",
        "timeout of the step between two tries",
        "timeout of the step while it plans",
        "rejected by a regular activity",
        "cancelled in a regular activity",
        "cancelled between two tries",
    ],
)
async def test_run_that_was_given_up_replays(
    step: Use, fault: dict[str, object], cancelled: bool, tmp_path: Path
) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds[step.connection].inject(**fault, times=100)
        retry = Retry(attempts=10, wait=60)
        await start_plan(made, client, step.model_copy(update={"retry": retry}))
        if cancelled:
            await until_step(made, step.id, lambda each: each.state in {"running", "waiting"})
            await cancel_run(made.rt, client, "run_s", actor="person:ann")
        await until_ended(client)
        run = await get_run(made.rt, "run_s")
        assert run.status == ("cancelled" if cancelled else "failed"), run.error
        await replay(made, client)
