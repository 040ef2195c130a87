"""Storms: a severe alert behind many low ones, and many copies of one alert; prints Markdown.

.venv/bin/python benchmarks/storm.py [--low 10000] [--copies 100000] [--json FILE]

Fails where an alert is lost, or where copies make more than one incident or run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from processes import Processes, wait_for
from webhook import installation
from webhook.installation import STARTS_NONE, STARTS_RUN
from webhook.senders import Target, closed_loop, deliver_once

from orchestrator.cli.stack.ports import choose

LAB = Path(__file__).with_name("target.py")
LOW, HIGH = 3, 1
"""Suricata's severities."""


def main() -> int:
    """Measure and print. Return 1 where something is lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--low", type=int, default=10_000, help="low alerts before the severe one")
    parser.add_argument("--severe", type=int, default=5, help="severe alerts, one after another")
    parser.add_argument("--copies", type=int, default=100_000, help="copies of one alert")
    parser.add_argument("--open-runs", default="500,0", help="source_open_runs; 0: no limit")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    overtaking = []
    for limit in given.open_runs.split(","):
        with tempfile.TemporaryDirectory(prefix="tocsin-storm-") as scratch:
            overtaking.append(asyncio.run(_overtake(Path(scratch), int(limit), given)))
    with tempfile.TemporaryDirectory(prefix="tocsin-storm-") as scratch:
        copies = asyncio.run(_copies(Path(scratch), given.copies))
    found = {"overtaking": overtaking, "copies": copies}
    _print(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    lost = sum(each["lost"] for each in overtaking)
    return int(lost > 0 or (copies["alerts"], copies["incidents"], copies["runs"]) != (1, 1, 1))


async def _overtake(folder: Path, limit: int, given: argparse.Namespace) -> dict[str, Any]:
    with Processes(folder) as processes:
        lab = choose("127.0.0.1")
        processes.start("target", [sys.executable, str(LAB), str(lab)])
        wait_for(f"http://127.0.0.1:{lab}/_lab/state", processes)
        settings, secrets = await installation.prepare(
            folder / "data",
            ("noisy", "severe"),
            target=f"http://127.0.0.1:{lab}",
            product="suricata",
        )
        environment = {"TOCSIN_SOURCE_OPEN_RUNS": str(limit)}
        port = installation.start(settings, processes, ("api", "worker", "temporal"), environment)
        wait_for(f"http://127.0.0.1:{port}/readyz", processes)
        noisy, severe = (installation.target(port, name, secrets) for name in secrets)
        numbers = itertools.count(1)
        watch = httpx.AsyncClient(base_url=f"http://127.0.0.1:{lab}", timeout=400)
        await _first_action(severe, watch, next(numbers))  # warm-up
        idle = [await _first_action(severe, watch, next(numbers)) for _ in range(given.severe)]
        low = (
            installation.flow(number, f"10.200.{number >> 8 & 255}.{number & 255}", LOW)
            for number in itertools.islice(numbers, given.low)
        )
        flood = await closed_loop(noisy, low, 20, most=given.low)
        waiting = installation.ask(
            folder / "data", "SELECT count(*) FROM runs WHERE status != 'completed'"
        )
        storm = [await _first_action(severe, watch, next(numbers)) for _ in range(given.severe)]
        await watch.aclose()
        processes.check()
        return {
            "limit": limit,
            "low": len(flood.latencies),
            "low_per_second": flood.rate,
            "open": waiting[0][0],
            "idle_ms": 1000 * statistics.median(idle),
            "storm_ms": 1000 * statistics.median(storm),
            "ratio": statistics.median(storm) / statistics.median(idle),
            "lost": installation.missing(folder / "data", flood.alert_ids)
            + given.low
            - len(flood.latencies),
            "api_peak_mb": next(each for each in processes.all if each.name == "api").peak(),
        }


async def _first_action(severe: Target, watch: httpx.AsyncClient, number: int) -> float:
    """Send a severe alert. Return the seconds until its address is looked up."""
    address = f"203.0.{number >> 8 & 127}.{number & 255}"
    sent = time.time()
    status, answer, _ = await deliver_once(severe, installation.flow(number, address, HIGH))
    assert status == 202, answer
    reply = await watch.get(f"/_bench/first/{address}")
    reply.raise_for_status()
    return float(reply.json()["first"]) - sent


async def _copies(folder: Path, count: int) -> dict[str, Any]:
    settings, secrets = await installation.prepare(folder / "data", ("distinct", "copies"))
    with Processes(folder) as processes:
        port = installation.start(settings, processes, ("api",))
        distinct, copies = (installation.target(port, name, secrets) for name in secrets)
        numbers = itertools.count(1)
        some = max(100, count // 20)
        before = await closed_loop(
            distinct, installation.distinct(numbers, STARTS_NONE), 10, most=some
        )
        same = await closed_loop(
            copies, installation.copies(next(numbers), STARTS_RUN), 10, most=count
        )
        processes.check()

        def one(query: str) -> object:
            return installation.ask(folder / "data", query)[0][0]

        return {
            "copies": len(same.latencies),
            "per_second": same.rate,
            "distinct_per_second": before.rate,
            "ratio": same.rate / before.rate,
            "alerts": one("SELECT count(*) FROM alerts WHERE source = 'copies'"),
            "incidents": one(
                "SELECT count(DISTINCT incident_id) FROM alerts WHERE source = 'copies'"
            ),
            "runs": one("SELECT count(*) FROM runs"),
            "seen": one("SELECT seen FROM alerts WHERE source = 'copies'"),
        }


def _print(found: dict[str, Any]) -> None:
    print(
        "| source_open_runs | low alerts | accepted a second | open runs | first action idle, ms "
        "| behind them, ms | ratio |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for row in found["overtaking"]:
        print(
            f"| {row['limit'] or 'no limit'} | {row['low']} | {row['low_per_second']:.0f} "
            f"| {row['open']} | {row['idle_ms']:.0f} | {row['storm_ms']:.0f} "
            f"| {row['ratio']:.1f} |"
        )
    copies = found["copies"]
    print(
        f"\n{copies['copies']} copies of one alert: {copies['per_second']:.0f} a second, "
        f"{copies['ratio']:.2f} of distinct ones; {copies['alerts']} alert (seen "
        f"{copies['seen']} times), {copies['incidents']} incident, {copies['runs']} run."
    )


if __name__ == "__main__":
    sys.exit(main())
