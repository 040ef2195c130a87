"""Stall of the event loop by a text to check, in the loop itself and in the sandbox; Markdown.

.venv/bin/python benchmarks/event_loop.py [--steps 300] [--at-least 5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time

from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.registry.draft_tasks import LINT, DraftAnalysis
from orchestrator.sandbox.process import SandboxProcess
from orchestrator.sandbox.task import InProcess, Sandbox

_HEAD = """playbook: large
version: 1
title: Large
owner: soc
trigger: {when: alert.severity > 1}
steps:
"""
_STEP = """  - id: s{0}
    when: alert.severity > {0} and alert.title | lower | contains('{0}')
    use: chat.post
    with: {{channel: soc, text: "${{{{ alert.title | lower | replace('a', 'b') }}}}"}}
"""
_TICK = 0.005


async def main() -> int:
    """Return 1 when the sandbox shortens the longest stall by less than --at-least times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300, help="of the playbook to lint")
    parser.add_argument("--at-least", type=float, default=5.0, help="the ratio of the stalls")
    given = parser.parse_args()
    text = _HEAD + "".join(_STEP.format(number) for number in range(given.steps))
    request = DraftAnalysis(text=text, file="large.yaml", catalogue=await load_catalogue())
    sandbox = SandboxProcess(seconds=60)
    await sandbox.run(LINT, request)  # its start is no part of the measurement
    before, after = await _stall(InProcess(), request), await _stall(sandbox, request)
    await sandbox.close()
    ratio, size = before / after, len(text) // 1024
    print(
        "| text | stall in the loop | stall with the sandbox | ratio |\n| --- | --- | --- | --- |\n"
        f"| {size} KiB | {before * 1000:.0f} ms | {after * 1000:.0f} ms | {ratio:.0f} |"
    )
    return int(ratio < given.at_least)


async def _stall(sandbox: Sandbox, request: DraftAnalysis) -> float:
    """Return the longest time, in seconds, in which the loop did nothing else."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK)
            longest = max(longest, time.perf_counter() - began - _TICK)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    with contextlib.suppress(Invalid):
        await sandbox.run(LINT, request)
    await asyncio.sleep(2 * _TICK)
    ticking.cancel()
    return longest


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
