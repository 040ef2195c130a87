"""Speed of the webhook, paired with a bare FastAPI endpoint; prints Markdown, and JSON to a file.

.venv/bin/python benchmarks/intake.py [--seconds 5] [--rounds 3] [--json FILE]

Fails where an alert that was accepted is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import Processes, wait_for
from webhook import installation
from webhook.installation import STARTS_NONE, STARTS_RUN
from webhook.senders import Answers, Bodies, Target, closed_loop, deliver_once, open_loop

from orchestrator.cli.stack.ports import choose

BARE = Path(__file__).with_name("webhook") / "bare.py"
SINGLE_RATE = 20.0
"""Single alerts a second of another source while a large body is accepted."""


@dataclass
class Row:
    """What one system did in each round."""

    name: str
    process: str
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Milliseconds of processor time of the server for a delivery."""
    answers: list[Answers] = field(default_factory=list)


def main() -> int:
    """Measure and print. Return 1 where an accepted alert is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each system in a round")
    parser.add_argument("--rounds", type=int, default=3, help="the systems take turns")
    parser.add_argument("--senders", type=int, default=10, help="deliveries at once")
    parser.add_argument("--batch", type=int, default=5000, help="alerts of the large body")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-intake-") as scratch:
        found = asyncio.run(_measure(Path(scratch), given))
    _print(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return int(found["missing"] > 0 or found["refused"] > 0)


async def _measure(scratch: Path, given: argparse.Namespace) -> dict[str, Any]:
    settings, secrets = await installation.prepare(
        scratch / "data", ("quiet", "busy", "batches", "singles")
    )
    numbers = itertools.count()
    with Processes(scratch) as processes:
        bare = {name: _bare(scratch, processes, name) for name in ("full", "normal")}
        port = installation.start(settings, processes, ("api",), {"TOCSIN_SOURCE_OPEN_RUNS": "0"})
        quiet, busy, batches, singles = (
            installation.target(port, name, secrets)
            for name in ("quiet", "busy", "batches", "singles")
        )
        distinct = installation.distinct(numbers, STARTS_NONE)
        turns: list[tuple[Row, Target, Bodies]] = [
            (Row("bare, as durable", "bare-full"), bare["full"], distinct),
            (Row("bare, without waiting for the disk", "bare-normal"), bare["normal"], distinct),
            (Row("distinct, no run", "api"), quiet, distinct),
            (Row("distinct, a run each", "api"), busy, installation.distinct(numbers, STARTS_RUN)),
            (Row("duplicates", "api"), quiet, installation.copies(next(numbers), STARTS_NONE)),
        ]
        await _rounds(processes, turns, given)
        rows = [row for row, _, _ in turns]
        half = statistics.median(rows[2].rates) / 2
        at_half = await open_loop(quiet, distinct, half, seconds=2 * given.seconds)
        alone = await open_loop(singles, distinct, SINGLE_RATE, seconds=given.seconds)
        large = await _large_body(batches, singles, numbers, distinct, given.batch)
        every = [*(each for row in rows[2:] for each in row.answers), at_half, alone, large[1]]
        accepted = set().union(*(each.alert_ids for each in every))
        lost = installation.missing(scratch / "data", accepted)
        stored = installation.ask(
            scratch / "data", "SELECT count(*) FROM alerts WHERE source = 'batches'"
        )
        lost += given.batch - int(str(stored[0][0]))
        peak = next(each for each in processes.all if each.name == "api").peak()
    return {
        "systems": [_figures(row, rows) for row in rows],
        "half_load": {
            "rate": half,
            "p50_ms": at_half.percentile(50),
            "p99_ms": at_half.percentile(99),
        },
        "large_body": {
            "alerts": given.batch,
            "seconds": large[0],
            "alone": _latencies(alone),
            "meanwhile": _latencies(large[1]),
        },
        "api_peak_mb": peak,
        "accepted": len(accepted),
        "missing": lost,
        "refused": sum(sum(each.refused.values()) for each in every),
    }


def _bare(scratch: Path, processes: Processes, synchronous: str) -> Target:
    port = choose("127.0.0.1")
    command = [
        sys.executable,
        str(BARE),
        str(port),
        str(scratch / f"{synchronous}.db"),
        synchronous,
    ]
    processes.start(f"bare-{synchronous}", command)
    wait_for(f"http://127.0.0.1:{port}/openapi.json", processes)
    return Target(port, "/alerts")


async def _rounds(
    processes: Processes, turns: list[tuple[Row, Target, Bodies]], given: argparse.Namespace
) -> None:
    for _, target, bodies in turns:  # warm-up
        await closed_loop(target, bodies, given.senders, seconds=0.5)
    for _ in range(given.rounds):
        for row, target, bodies in turns:
            server = next(each for each in processes.all if each.name == row.process)
            before = server.cpu()
            answers = await closed_loop(target, bodies, given.senders, seconds=given.seconds)
            processes.check()
            row.rates.append(answers.rate)
            row.cpu.append(1000 * (server.cpu() - before) / max(1, len(answers.latencies)))
            row.answers.append(answers)


async def _large_body(
    batches: Target, singles: Target, numbers: Iterator[int], distinct: Bodies, count: int
) -> tuple[float, Answers]:
    """Send one large body while single alerts of another source come. Return both outcomes."""
    body = installation.batch(numbers, STARTS_RUN, count)
    done = asyncio.Event()
    meanwhile = asyncio.create_task(open_loop(singles, distinct, SINGLE_RATE, until=done))
    await asyncio.sleep(0.5)
    status, answer, seconds = await deliver_once(batches, body)
    assert status == 202, answer[:500]
    done.set()
    return seconds, await meanwhile


def _figures(row: Row, rows: list[Row]) -> dict[str, Any]:
    def ratio(base: Row) -> float:
        return statistics.median(
            ours / bare for ours, bare in zip(row.rates, base.rates, strict=True)
        )

    return {
        "name": row.name,
        "per_second": statistics.median(row.rates),
        "of_bare": ratio(rows[0]),
        "of_bare_without_disk": ratio(rows[1]),
        "p50_ms": statistics.median(each.percentile(50) for each in row.answers),
        "p99_ms": statistics.median(each.percentile(99) for each in row.answers),
        "cpu_ms": statistics.median(row.cpu),
    }


def _latencies(answers: Answers) -> dict[str, float]:
    return {
        "p50_ms": answers.percentile(50),
        "p99_ms": answers.percentile(99),
        "max_ms": answers.percentile(100),
    }


def _print(found: dict[str, Any]) -> None:
    print(
        "| | a second | of bare, as durable | of bare, no disk | p50 ms | p99 ms | processor ms |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    for row in found["systems"]:
        print(
            f"| {row['name']} | {row['per_second']:.0f} | {row['of_bare']:.2f} "
            f"| {row['of_bare_without_disk']:.2f} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} "
            f"| {row['cpu_ms']:.2f} |"
        )
    half, large = found["half_load"], found["large_body"]
    print(
        f"\nAt half load ({half['rate']:.0f}/s): p50 {half['p50_ms']:.1f} ms, "
        f"p99 {half['p99_ms']:.1f} ms.\n"
        f"One body of {large['alerts']} alerts: {large['seconds']:.1f} s. Single alerts of another "
        f"source, p50 / p99 / longest in ms: alone {_three(large['alone'])}, "
        f"meanwhile {_three(large['meanwhile'])}.\n"
        f"Accepted {found['accepted']}, missing {found['missing']}, refused {found['refused']}; "
        f"the API's peak is {found['api_peak_mb']:.0f} MB."
    )


def _three(found: dict[str, float]) -> str:
    return " / ".join(f"{value:.0f}" for value in found.values())


if __name__ == "__main__":
    sys.exit(main())
