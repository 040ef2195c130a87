"""Speed of Tocsin, compared with bare Temporal doing the same calls; prints Markdown.

.venv/bin/python benchmarks/bench.py [--seconds 30] [--senders 1,10,50]
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import bare
import httpx
import ours
from load import Measured, addresses, load, percentile
from processes import Processes, size, wait_for
from temporalio.client import Client

from orchestrator.cli.stack.ports import Listening, choose
from orchestrator.cli.stack.programs import temporal_command
from orchestrator.settings import Settings

HERE = Path(__file__).parent


@dataclass
class Level:
    """The results at one number of senders."""

    measured: Measured
    cpu: dict[str, float]
    """Cores in use, by process."""
    per_run: float
    """Bytes of database per run."""


@dataclass
class System:
    """One of the two systems."""

    name: str
    levels: list[Level]
    memory: dict[str, float]


def main() -> None:
    """Measure both systems and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds per level")
    parser.add_argument("--senders", default="1,10,50", help="the numbers of senders")
    options = parser.parse_args()
    levels = [int(text) for text in options.senders.split(",")]
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as scratch:
        plain = run_bare(Path(scratch) / "bare", levels, options.seconds)
        tocsin, ended = run_tocsin(Path(scratch) / "tocsin", levels, options.seconds)
    report([plain, tocsin], ended)


def run_bare(folder: Path, levels: list[int], seconds: float) -> System:
    """Measure bare Temporal, on the same server with the same flags."""
    folder.mkdir(mode=0o700)
    settings = Settings.load(data_dir=folder)
    listening = Listening(pid=0, host="127.0.0.1", api=1, temporal=choose("127.0.0.1"))
    address = str(listening.temporal_address)
    temporal = [*temporal_command(settings), "--port", str(listening.temporal)]
    with Processes(folder) as processes:
        url = start_target(processes)
        processes.start("temporal", temporal)
        asyncio.run(_reach(address, processes))
        processes.start("worker", [sys.executable, str(HERE / "bare.py"), address, url])
        return System(
            "bare Temporal",
            *_levels(processes, levels, seconds, _bare(address, url), [folder / "temporal.db"]),
        )


def run_tocsin(folder: Path, levels: list[int], seconds: float) -> tuple[System, dict[str, int]]:
    """Measure Tocsin with API, worker, the same server and SQLite; count its runs by status."""
    folder.mkdir(mode=0o700)
    with Processes(folder) as processes:
        target = start_target(processes)
        settings, secret = asyncio.run(ours.prepare(folder / "data", target))
        commands, url = ours.commands(settings)
        for name, command, environment in commands:
            processes.start(name, command, environment)
        wait_for(f"{url}/readyz", processes)
        files = [settings.data_dir / name for name in ("tocsin.db", "temporal.db")]
        system = System(
            "Tocsin", *_levels(processes, levels, seconds, _tocsin(url, secret, target), files)
        )
        return system, _drained(files[0])


def start_target(processes: Processes) -> str:
    """Start the lab in memory, and return its URL."""
    port = choose("127.0.0.1")
    processes.start("target", [sys.executable, str(HERE / "target.py"), str(port)])
    wait_for(f"http://127.0.0.1:{port}/_lab/state", processes)
    return f"http://127.0.0.1:{port}"


Run = Callable[[int, float, Iterator[str]], Awaitable[Measured]]  # senders, seconds, addresses


def _levels(
    processes: Processes, levels: list[int], seconds: float, run: Run, files: list[Path]
) -> tuple[list[Level], dict[str, float]]:
    fresh, found = addresses(), []
    asyncio.run(_run(run, 1, 2.0, fresh))  # warm-up
    for senders in levels:
        cpu_before, bytes_before, started = (
            {each.name: each.cpu() for each in processes.all},
            size(*files),
            time.monotonic(),
        )
        measured = asyncio.run(_run(run, senders, seconds, fresh))
        elapsed = time.monotonic() - started
        processes.check()
        cpu = {each.name: (each.cpu() - cpu_before[each.name]) / elapsed for each in processes.all}
        found.append(
            Level(measured, cpu, (size(*files) - bytes_before) / max(1, len(measured.contained)))
        )
    return found, {each.name: each.peak() for each in processes.all}


async def _run(run: Run, senders: int, seconds: float, fresh: Iterator[str]) -> Measured:
    return await run(senders, seconds, fresh)


async def _reach(address: str, processes: Processes) -> Client:
    for _ in range(300):
        processes.check()
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.1)
    message = f"Temporal does not answer at {address}"
    raise RuntimeError(message)


def _bare(temporal: str, target: str) -> Run:
    async def run(senders: int, seconds: float, fresh: Iterator[str]) -> Measured:
        client = await Client.connect(temporal)

        async def send(address: str) -> None:
            await client.start_workflow(
                bare.Bare.run, address, id=f"bare-{address}", task_queue=bare.QUEUE
            )

        return await load(send, target, senders, seconds, fresh)

    return run


def _tocsin(url: str, secret: str, target: str) -> Run:
    async def run(senders: int, seconds: float, fresh: Iterator[str]) -> Measured:
        limits = httpx.Limits(max_connections=senders + 1, max_keepalive_connections=senders + 1)
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=60, limits=limits
        ) as api:

            async def send(address: str) -> None:
                (
                    await api.post(f"/v1/webhooks/{ours.SOURCE}", content=ours.alert(address))
                ).raise_for_status()

            return await load(send, target, senders, seconds, fresh)

    return run


def _drained(database: Path) -> dict[str, int]:
    """Count runs by status once none is open; a measurement of failed runs is void."""
    for _ in range(600):
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as open_database:
            counted = dict(
                open_database.execute(
                    "SELECT status, count(*) FROM runs GROUP BY status"
                ).fetchall()
            )
        if not counted.keys() & {"running", "waiting"}:
            return counted
        time.sleep(0.1)
    message = f"runs are still open after a minute: {counted}"
    raise RuntimeError(message)


def report(systems: list[System], ended: dict[str, int]) -> None:
    """Print the tables of benchmarks/README.md."""
    rows = [
        (
            "",
            "senders",
            "runs/s",
            "of bare",
            "accept p50 / p95 / p99",
            "to first call p50 / p95 / p99",
            "to contained p50 / p95 / p99",
            "bytes/run",
        )
    ]
    bare_rates = {level.measured.senders: level.measured.rate for level in systems[0].levels}
    for system in systems:
        for level in system.levels:
            found = level.measured
            times = (
                _times(values) for values in (found.accepted, found.first_call, found.contained)
            )
            ratio = found.rate / bare_rates[found.senders]
            rows.append(
                (
                    system.name,
                    str(found.senders),
                    f"{found.rate:.1f}",
                    f"{ratio:.2f}",
                    *times,
                    f"{level.per_run:,.0f}",
                )
            )
    _table(rows)
    for system in systems:
        sys.stdout.write(f"\n{system.name}\n\n")
        names = list(system.memory)
        used = [
            (
                f"cores at {level.measured.senders} senders",
                *(f"{level.cpu[name]:.2f}" for name in names),
            )
            for level in system.levels
        ]
        _table(
            [
                ("", *names),
                *used,
                ("peak memory, MB", *(f"{system.memory[name]:.0f}" for name in names)),
            ]
        )
    lost = sum(level.measured.lost for system in systems for level in system.levels)
    sys.stdout.write(
        f"\nTocsin's runs by status: {ended}. Alerts not contained within a minute: {lost}.\n"
    )


def _times(values: list[float]) -> str:
    return " / ".join(f"{percentile(values, percent):.0f}" for percent in (50, 95, 99))


def _table(rows: list[tuple[str, ...]]) -> None:
    head, *body = rows
    for row in (head, ("---",) * len(head), *body):
        sys.stdout.write(f"| {' | '.join(row)} |\n")


if __name__ == "__main__":
    main()
