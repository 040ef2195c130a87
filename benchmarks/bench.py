"""Speed of a run, compared with bare Temporal doing the same calls in turns; prints Markdown.

.venv/bin/python benchmarks/bench.py [--seconds 10] [--turns 5] [--senders 1,10,50] [--floor]
    [--json FILE]

All systems are up at the same time, and each is measured in its turn, so that a machine that slows
down slows all of them. Fails where an alert was not contained, or a run did not complete.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import bare
import httpx
import ours
from figures import BARE, Figures, Turn
from load import Measured, addresses, load
from processes import Processes, size, wait_for
from temporalio.client import Client

from orchestrator.cli.stack.ports import Listening, choose
from orchestrator.cli.stack.programs import temporal_command
from orchestrator.settings import Settings

HERE = Path(__file__).parent
WARM_UP = 1.0

Run = Callable[[int, float], Awaitable[Measured]]  # senders, seconds


@dataclass
class System:
    """A system that is up: its processes, its databases, and how a load is put on it."""

    processes: Processes
    files: list[Path]
    run: Run

    def turn(self, senders: int, seconds: float) -> Turn:
        """Measure one turn."""
        cpu = {each.name: each.cpu() for each in self.processes.all}
        before = {file.name: size(file) for file in self.files}
        measured = asyncio.run(_measure(self.run, senders, seconds))
        self.processes.check()
        return Turn.of(
            measured,
            {each.name: each.cpu() - cpu[each.name] for each in self.processes.all},
            {file.name: size(file) - before[file.name] for file in self.files},
        )


def main() -> None:
    """Measure the systems in turns, print the report, and fail where it is void."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of a turn")
    parser.add_argument("--turns", type=int, default=5, help="turns of a system at each level")
    parser.add_argument("--senders", default="1,10,50", help="the numbers of senders")
    parser.add_argument(
        "--floor", action="store_true", help="measure the least that Temporal costs"
    )
    parser.add_argument("--json", type=Path, help="write every figure into this file")
    options = parser.parse_args()
    levels = [int(text) for text in options.senders.split(",")]
    found = Figures(options.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-bench-") as scratch,
        ExitStack() as stack,
    ):
        systems = {BARE: start_bare(stack, Path(scratch) / "bare", floor=False)}
        if options.floor:
            systems["the floor"] = start_bare(stack, Path(scratch) / "floor", floor=True)
        systems["Tocsin"] = start_tocsin(stack, Path(scratch) / "tocsin")
        for system in systems.values():
            asyncio.run(_measure(system.run, min(levels), WARM_UP))
        for senders in levels:
            for _ in range(options.turns):
                for name, system in systems.items():
                    turn = system.turn(senders, options.seconds)
                    found.turns.setdefault(name, []).append(turn)
        found.memory = {
            name: {each.name: each.peak() for each in system.processes.all}
            for name, system in systems.items()
        }
        found.ended = _drained(systems["Tocsin"].files[0])
    sys.stdout.write(found.markdown())
    if options.json:
        options.json.write_text(json.dumps(found.document(), indent=1) + "\n", "utf-8")
    if problems := found.problems():
        sys.exit("\n".join(problems))


def start_bare(stack: ExitStack, folder: Path, *, floor: bool) -> System:
    """Start bare Temporal, on the same server with the same flags."""
    folder.mkdir(mode=0o700)
    settings = Settings.load(data_dir=folder)
    listening = Listening(pid=0, host="127.0.0.1", api=1, temporal=choose("127.0.0.1"))
    address = str(listening.temporal_address)
    processes = stack.enter_context(Processes(folder))
    target = start_target(processes)
    processes.start("temporal", [*temporal_command(settings), "--port", str(listening.temporal)])
    asyncio.run(_reach(address, processes))
    worker = [sys.executable, str(HERE / "bare.py"), address, target]
    processes.start("worker", [*worker, "--floor"] if floor else worker)
    fresh, workflow = addresses(), bare.Floor.run if floor else bare.Bare.run

    async def run(senders: int, seconds: float) -> Measured:
        client = await Client.connect(address)

        async def send(contained: str) -> None:
            await client.start_workflow(
                workflow, contained, id=f"bare-{contained}", task_queue=bare.QUEUE
            )

        return await load(send, target, senders, seconds, fresh)

    return System(processes, [folder / "temporal.db"], run)


def start_tocsin(stack: ExitStack, folder: Path) -> System:
    """Start Tocsin with API, worker, the same server and SQLite."""
    folder.mkdir(mode=0o700)
    processes = stack.enter_context(Processes(folder))
    target = start_target(processes)
    settings, secret = asyncio.run(ours.prepare(folder / "data", target))
    commands, url = ours.commands(settings)
    for name, command, environment in commands:
        processes.start(name, command, environment)
    wait_for(f"{url}/readyz", processes)
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    fresh = addresses()

    async def run(senders: int, seconds: float) -> Measured:
        limits = httpx.Limits(max_connections=senders + 1, max_keepalive_connections=senders + 1)
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=60, limits=limits
        ) as api:

            async def send(address: str) -> None:
                (
                    await api.post(f"/v1/webhooks/{ours.SOURCE}", content=ours.alert(address))
                ).raise_for_status()

            return await load(send, target, senders, seconds, fresh)

    files = [settings.data_dir / name for name in ("tocsin.db", "temporal.db")]
    return System(processes, files, run)


def start_target(processes: Processes) -> str:
    """Start the lab in memory, and return its URL."""
    port = choose("127.0.0.1")
    processes.start("target", [sys.executable, str(HERE / "target.py"), str(port)])
    wait_for(f"http://127.0.0.1:{port}/_lab/state", processes)
    return f"http://127.0.0.1:{port}"


async def _measure(run: Run, senders: int, seconds: float) -> Measured:
    return await run(senders, seconds)


async def _reach(address: str, processes: Processes) -> Client:
    for _ in range(300):
        processes.check()
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.1)
    message = f"Temporal does not answer at {address}"
    raise RuntimeError(message)


def _drained(database: Path) -> dict[str, int]:
    """Count runs by status once none is open."""
    for _ in range(600):
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as open_database:
            counted: dict[str, int] = dict(
                open_database.execute(
                    "SELECT status, count(*) FROM runs GROUP BY status"
                ).fetchall()
            )
        if not counted.keys() & {"running", "waiting", "deferred"}:
            return counted
        time.sleep(0.1)
    return counted


if __name__ == "__main__":
    main()
