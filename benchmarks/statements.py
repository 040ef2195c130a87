"""Cost of a statement of the hot path, and of the same one by SQLAlchemy; prints Markdown.

.venv/bin/python benchmarks/statements.py [--rounds 5] [--calls 200] [--at-least 2]

Processor time of one call on SQLite, in turns, without the commit: the median of the rounds. Fails
where a statement does not save SQLAlchemy's work, by a factor.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator import first_start
from orchestrator.domain.run import StepState
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings
from orchestrator.store.statements import events, sealed, steps
from orchestrator.store.statements.statement import Statement
from orchestrator.store.tables import PolicyRow

Call = Callable[[AsyncSession, int], Awaitable[Any]]


def main() -> None:
    """Measure each pair, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--calls", type=int, default=200, help="calls in a turn")
    parser.add_argument("--at-least", type=float, default=2.0, help="fail below this factor")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-statements-") as folder:
        found = asyncio.run(measure(Path(folder), options.rounds, options.calls))
    print("| one call | by SQLAlchemy, us | by the statement, us | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for name, (slow, fast) in found.items():
        print(f"| {name} | {slow:.0f} | {fast:.0f} | {slow / fast:.1f} |")
    if any(slow < options.at_least * fast for slow, fast in found.values()):
        sys.exit(f"a statement is less than {options.at_least:g} times faster")


async def measure(folder: Path, rounds: int, calls: int) -> dict[str, tuple[float, float]]:
    """Return microseconds by SQLAlchemy and by the statement, for each pair."""
    rt = open_runtime(Settings.load(data_dir=folder / "data"))
    try:
        await first_start.prepare(rt, None)
        found: dict[str, tuple[float, float]] = {}
        for name, pair in pairs(rt.clock()):
            turns: list[list[float]] = [[], []]
            for number in range(rounds):
                for place, call in enumerate(pair):
                    async with rt.store.write() as session:
                        first = (2 * number + place) * calls
                        began = time.process_time()
                        for each in range(first, first + calls):
                            await call(session, each)
                        turns[place].append(1e6 * (time.process_time() - began) / calls)
            found[name] = median(turns[0]), median(turns[1])
        return found
    finally:
        await rt.close()


def pairs(now: Any) -> Iterator[tuple[str, tuple[Call, Call]]]:
    """Yield what is measured: by SQLAlchemy as it was before, and by the statement."""

    def step(number: int) -> dict[str, Any]:
        return {
            "run_id": "run_1",
            "path": f"step_{number % 8}",
            "kind": "use",
            "state": StepState.DONE,
            "seq": 1,
            "attempt": 1,
            "inputs": {"address": "198.18.0.1"},
            "started_at": now,
            "ended_at": now,
            "error": None,
            "result": {"malicious": 1, "tags": ["a", "b"]},
            "waiting_for": None,
        }

    def event(number: int) -> dict[str, Any]:
        text = {name: name for name in ("kind", "actor", "subject", "mac")}
        return {
            **text,
            "id": f"evt_{number}",
            "time": "2026-03-04T05:06:07.000000Z",
            "data": {"path": "block", "attempt": 1, "result": {"tags": ["a", "b"]}},
        }

    save = steps.save_step(frozenset(step(0)))
    yield "save a step", (_by_sqlalchemy(save, step), _by_statement(save, step))
    yield (
        "add an event",
        (
            _by_sqlalchemy(events.ADD_EVENT, event),
            _by_statement(events.ADD_EVENT, event),
        ),
    )

    async def policy(session: AsyncSession, _: int) -> None:
        newest = select(PolicyRow).order_by(col(PolicyRow.version).desc()).limit(1)
        session.expunge_all()
        await session.scalar(newest)

    async def sealed_policy(session: AsyncSession, _: int) -> None:
        await sealed.newest_policy(session)

    yield "read the policy", (policy, sealed_policy)


def _by_sqlalchemy(statement: Statement, row: Callable[[int], dict[str, Any]]) -> Call:
    async def call(session: AsyncSession, number: int) -> None:
        await session.execute(statement.build("sqlite"), row(number))

    return call


def _by_statement(statement: Statement, row: Callable[[int], dict[str, Any]]) -> Call:
    async def call(session: AsyncSession, number: int) -> None:
        await statement.run(session, row(number))

    return call


if __name__ == "__main__":
    main()
