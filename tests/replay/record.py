"""Records the histories that the replay test replays: run by hand, from the root, after a change that is meant to break replay.

`python tests/replay/record.py` writes `tests/replay/histories/*.json`, unencrypted, without names or paths of the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "engine"))

from temporalio.contrib.pydantic import pydantic_data_converter  # noqa: E402
from temporalio.testing import WorkflowEnvironment  # noqa: E402

from orchestrator.contracts.messages import DueReply, HoldInput, UndoRequest  # noqa: E402
from orchestrator.domain.run import Mode  # noqa: E402
from orchestrator.engine.temporal.workflows.hold_containment import HoldContainment  # noqa: E402
from tests.harness.run_answers import agree_with  # noqa: E402
from tests.harness.run_rig import Rig  # noqa: E402
from tests.harness.world import World  # noqa: E402
from tests.replay.conftest import SERVER, usual_catalogue  # noqa: E402  # the path comes first

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


async def whole(rig: Rig) -> None:
    """A run through every kind of step that completes."""
    rig.world.decide = agree_with("203.0.113.7")
    await rig.run(WHOLE)


async def dry(rig: Rig) -> None:
    """The same, as a dry run."""
    await rig.run(WHOLE, mode=Mode.DRY_RUN)


async def long(rig: Rig) -> None:
    """Slices, an outage, and all of it taken back."""
    rig.world.fail_reads = 9
    await rig.run(LONG)


async def cancelled(rig: Rig) -> None:
    """Cancelled while it waits."""
    async with rig.worker():
        block = "  - id: block\n    use: firewall.block_address\n    with: {address: 203.0.113.7}\n"
        handle = await rig.start(rig.given(f"steps:\n{block}  - id: pause\n    wait: 7d\n"))
        await rig.until(lambda: "203.0.113.7" in rig.world.in_force)
        await handle.signal("cancel_run", "person:ann")
        await handle.result()


async def held(rig: Rig) -> None:
    """A lease that ends, after the device was looked at."""
    lease = UndoRequest(run_id="run_1", path="block", reason="its time is up", actor="system")
    wake = await rig.server.get_current_time() + timedelta(hours=24)
    look = await rig.server.get_current_time() + timedelta(minutes=15)
    waits = [
        DueReply(wake_at=look, live=1),
        DueReply(check=True, live=1),
        DueReply(wake_at=wake, live=1),
    ]
    rig.world.due_replies = [*waits, DueReply(ended=(lease,), live=1)]
    async with rig.worker():
        client = rig.server.client
        hold = HoldInput(containment_key="k")
        handle = await client.start_workflow(
            HoldContainment.run, hold, id="hold-k", task_queue="t", start_signal="changed"
        )
        await handle.result()


RECORDED: dict[Callable[[Rig], Awaitable[None]], tuple[str, ...]] = {
    whole: ("run-run_1-1",),
    dry: ("run-run_1-1",),
    long: ("run-run_1-1", "run-run_1-1/each/100", "run-run_1-1/roll_back/each[102]/isolate_one"),
    cancelled: ("run-run_1-1",),
    held: ("hold-k",),
}


async def record() -> None:
    """Each scene on a server of its own."""
    for scene, names in RECORDED.items():
        env = await WorkflowEnvironment.start_time_skipping(
            data_converter=pydantic_data_converter,
            test_server_existing_path=SERVER,
            identity="recorder",
        )
        async with env:
            rig = Rig(env, World(), usual_catalogue())
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
    os._exit(0)  # the interpreter's own end races the SDK's threads, and aborts
