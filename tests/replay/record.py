"""Recorder of the histories that the replay test replays.

Run `python -m tests.replay.record` by hand after a change that is meant to break replay. It writes
`tests/replay/histories/*.json`, unencrypted, without names or paths of the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.contracts.change import UndoRequest
from orchestrator.contracts.requests import WorkerRequest
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.run import Mode
from orchestrator.engine.temporal.workflows.answer_request import AnswerRequest
from orchestrator.engine.temporal.workflows.attend_containment import (
    CheckContainment,
    EndLeases,
)
from tests.conftest import TEST_SERVER
from tests.harness.run_answers import agree_with
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

HERE = Path(__file__).parent

WHOLE = """\
steps:
  - id: look
    use: reputation.lookup_address
    with: {address: 203.0.113.7}
  - id: contain
    approve: {question: "Contain ${{ steps.look.malicious }}?", by: soc-leads, within: 15m}
    parallel:
      - {id: block, use: firewall.block_address, with: {address: 203.0.113.7}, for: 24h}
      - {id: isolate, use: edr.isolate_host, with: {host: ws-042}}
  - id: often
    repeat: {at_most: 2, every: 30s, until: "false", steps: [{id: again, use: reputation.lookup_address, with: {address: 203.0.113.8}}]}
  - id: either
    choose: [{when: steps.isolate is none, steps: [{id: pause, wait: 1h}]}, {otherwise: [{id: other, wait: 2h}]}]
  - id: ask
    ask: {question: "Why?", form: {why: {type: text, label: Why}}, within: 1h, otherwise: continue}
  - id: more
    wait: {event: "event.class == 'malware'", within: 2h, otherwise: continue}
  - id: ticket
    use: tickets.open
    with: {title: Done}
"""
LISTED = ", ".join(f"'h-{n}'" for n in range(103))
LONG = f"""\
steps:
  - id: each
    for_each: [{LISTED}]
    as: h
    at_most: 200
    steps: [{{id: isolate_one, use: edr.isolate_host, with: {{host: "${{{{ h }}}}"}}}}]
  - id: look
    use: reputation.lookup_address
    with: {{address: 203.0.113.7}}
    retry: {{attempts: 2, wait: 1s}}
on_failure: roll_back
"""


async def whole(rig: RunRig) -> None:
    """Run every kind of step to completion."""
    rig.world.decide = agree_with("203.0.113.7")
    await rig.run(WHOLE)


async def dry(rig: RunRig) -> None:
    """Run the same as a dry run."""
    await rig.run(WHOLE, mode=Mode.DRY_RUN)


async def long(rig: RunRig) -> None:
    """Run batches, meet an outage, roll everything back."""
    rig.world.fail_reads = 9
    await rig.run(LONG)


async def cancelled(rig: RunRig) -> None:
    """Cancel a run while it waits."""
    async with rig.worker():
        block = "  - id: block\n    use: firewall.block_address\n    with: {address: 203.0.113.7}\n"
        handle = await rig.start(rig.given(f"steps:\n{block}  - id: pause\n    wait: 7d\n"))
        await rig.until(lambda: "203.0.113.7" in rig.world.in_force)
        await handle.signal("cancel_run", "person:ann")
        await handle.result()


async def released(rig: RunRig) -> None:
    """End two leases, of which one is stuck."""
    rig.world.due = [
        UndoRequest(
            run_id="run_1",
            path=path,
            cause=LeaseEndReason.EXPIRED,
            reason="the lease expired",
            actor="system",
        )
        for path in ("block", "isolate")
    ]
    rig.world.stuck = {"block"}
    async with rig.worker():
        release = EndLeases.run
        await rig.server.client.execute_workflow(release, "k", id="release-k", task_queue="t")


async def checked(rig: RunRig) -> None:
    """Check a containment for drift."""
    async with rig.worker():
        check = CheckContainment.run
        await rig.server.client.execute_workflow(check, "k", id="check-k", task_queue="t")


async def request(rig: RunRig) -> None:
    """Answer one request of the API."""
    given = WorkerRequest(kind="greet", message={}, start_within=timedelta(minutes=1))
    async with rig.worker():
        answer = AnswerRequest.run
        await rig.server.client.execute_workflow(answer, given, id="request", task_queue="t")


RECORDED: dict[Callable[[RunRig], Awaitable[None]], tuple[str, ...]] = {
    whole: ("run-run_1-1",),
    dry: ("run-run_1-1",),
    long: ("run-run_1-1", "run-run_1-1/each/100", "run-run_1-1/roll_back/each[102]/isolate_one"),
    cancelled: ("run-run_1-1",),
    released: ("release-k",),
    checked: ("check-k",),
    request: ("request",),
}


async def record() -> None:
    """Record each scene on its own server."""
    for scene, names in RECORDED.items():
        env = await WorkflowEnvironment.start_time_skipping(
            data_converter=pydantic_data_converter,
            test_server_existing_path=TEST_SERVER,
            identity="recorder",
        )
        async with env:
            rig = RunRig(env, MemoryWorld(), usual_catalogue())
            await scene(rig)
            for number, name in enumerate(names):
                history = await env.client.get_workflow_handle(name).fetch_history()
                text = json.dumps(
                    _without_traces(json.loads(history.to_json())),
                    separators=(",", ":"),
                    sort_keys=True,
                )
                (HERE / "histories" / f"{scene.__name__}_{number}.json").write_text(
                    f"{text}\n", encoding="utf-8"
                )


def _without_traces(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_traces(each) for key, each in value.items() if key != "stackTrace"}
    return [_without_traces(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    asyncio.run(record())
    os._exit(0)  # the normal exit races the SDK's threads and aborts
