"""The limits of the real server end a step with a reason, and never leave a run stuck."""

from __future__ import annotations

import random
from base64 import b64encode
from pathlib import Path

from orchestrator.playbook.plan import AnyStep, ForEach, Parallel
from orchestrator.runs.queries import get_run
from tests.engine.test_step_rows import FIND
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended

LARGE = [b64encode(random.Random(number).randbytes(525)).decode() for number in range(5000)]
"""A reply that the connector accepts, and too large for Temporal also when it is compressed."""
MANY = ForEach(
    id="each" + "h" * 60,
    items=["ws-042"] * 101,
    name="host",
    at_most=200,
    at_once=20,
    steps=(FIND,),
)
"""So many items that they are done in batches, which are workflows with an id of their own."""


async def test_output_that_is_larger_than_a_message_fails_its_step(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        for device in made.worlds["edr"].devices.values():
            device["tags"] = LARGE
        await start_plan(made, client, FIND)
        await until_ended(client)
        run = await get_run(made.rt, "run_s")
        assert run.status == "failed"
        assert "its result has" in (run.error or "")
        assert run.steps[0].state == "failed"


async def test_batches_of_a_deeply_nested_step_have_ids_that_fit(tmp_path: Path) -> None:
    nested: AnyStep = MANY
    for level in range(20):
        nested = Parallel(id=f"level{level}" + "x" * 57, steps=(nested,))
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, nested)
        await until_ended(client)
        run = await get_run(made.rt, "run_s")
        assert run.status == "completed", run.error
