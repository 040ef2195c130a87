"""Figures of paired turns: their medians, as JSON and as tables of Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from load import Measured, percentile

BARE = "bare Temporal"


@dataclass(frozen=True)
class Turn:
    """The figures of one system, with some senders, for some seconds."""

    senders: int
    runs: int
    lost: int
    """Alerts that were not contained within a minute."""
    rate: float
    """Runs per second."""
    accepted: tuple[float, float, float]
    """Milliseconds until the alert was accepted: p50, p95, p99."""
    first_call: tuple[float, float, float]
    contained: tuple[float, float, float]
    cpu: dict[str, float]
    """Milliseconds of processor time per run, by process."""
    bytes: dict[str, float]
    """Bytes of database per run, by file."""

    @classmethod
    def of(cls, found: Measured, cpu: dict[str, float], size: dict[str, int]) -> Turn:
        """Return the figures. `cpu`: seconds, and `size`: bytes, that the whole turn took."""
        runs = len(found.contained)
        return cls(
            found.senders,
            runs,
            found.lost,
            found.rate,
            *(_percentiles(each) for each in (found.accepted, found.first_call, found.contained)),
            {name: 1000 * seconds / max(1, runs) for name, seconds in cpu.items()},
            {name: count / max(1, runs) for name, count in size.items()},
        )

    @property
    def cpu_sum(self) -> float:
        """Milliseconds of processor time per run, without those of the target."""
        return sum(spent for name, spent in self.cpu.items() if name != "target")


@dataclass
class Figures:
    """Every turn of every system. Turns of one number belong together, and are compared."""

    seconds: float
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    """Peak memory in MB, by system and process."""
    ended: dict[str, int] = field(default_factory=dict)
    """Tocsin's runs by status."""

    def problems(self) -> list[str]:
        """Return why the figures are void: a run that did not do what it was for."""
        lost = {name: sum(turn.lost for turn in turns) for name, turns in self.turns.items()}
        idle = [name for name, turns in self.turns.items() if not all(turn.runs for turn in turns)]
        others = {status: count for status, count in self.ended.items() if status != "completed"}
        return [
            *(
                f"{name}: {count} alerts were not contained"
                for name, count in lost.items()
                if count
            ),
            *(f"{name}: a turn without a run" for name in idle),
            *(f"Tocsin: {count} runs are {status}" for status, count in others.items()),
        ]

    def document(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "machine": {
                "cores": os.cpu_count(),
                "processor": platform.machine(),
                "system": platform.system(),
                "python": platform.python_version(),
            },
            "seconds": self.seconds,
            "medians": [self._medians(name, senders) for name, senders in self._levels()],
            "turns": {name: [asdict(turn) for turn in turns] for name, turns in self.turns.items()},
            "memory_mb": self.memory,
            "ended": self.ended,
        }

    def markdown(self) -> str:
        """Return the tables for the documentation."""
        speed: list[tuple[str, ...]] = [
            ("", "senders", "runs/s", "of bare", "accepted ms", "first call ms", "contained ms")
        ]
        cost: list[tuple[str, ...]] = [
            (
                "",
                "senders",
                "worker ms",
                "Temporal ms",
                "API ms",
                "sum ms",
                "of bare",
                "our B",
                "Temporal B",
            )
        ]
        for name, senders in self._levels():
            found = self._medians(name, senders)
            times = (found[each] for each in ("accepted_ms", "first_call_ms", "contained_ms"))
            speed.append(
                (
                    name,
                    str(senders),
                    f"{found['rate']:.1f}",
                    f"{found['of_bare']:.2f}",
                    *(" / ".join(f"{each:.0f}" for each in three) for three in times),
                )
            )
            cpu, size = found["cpu_ms"], found["bytes"]
            spent = [cpu.get(each) for each in ("worker", "temporal", "api")]
            cost.append(
                (
                    name,
                    str(senders),
                    *("-" if each is None else f"{each:.1f}" for each in spent),
                    f"{found['cpu_ms_sum']:.1f}",
                    f"{found['cpu_of_bare']:.2f}",
                    *(
                        f"{size[each]:,.0f}" if each in size else "-"
                        for each in ("tocsin.db", "temporal.db")
                    ),
                )
            )
        memory: list[tuple[str, ...]] = [("peak memory, MB", "worker", "Temporal", "API")]
        for name, used in self.memory.items():
            peaks = [used.get(each) for each in ("worker", "temporal", "api")]
            memory.append((name, *("-" if peak is None else f"{peak:.0f}" for peak in peaks)))
        return "\n".join(_table(rows) for rows in (speed, cost, memory))

    def _levels(self) -> list[tuple[str, int]]:
        """Return system and senders, as they were measured first."""
        senders = list(
            dict.fromkeys(turn.senders for turns in self.turns.values() for turn in turns)
        )
        return [(name, count) for count in senders for name in self.turns]

    def _medians(self, name: str, senders: int) -> dict[str, Any]:
        turns = [turn for turn in self.turns[name] if turn.senders == senders]
        bare = [turn for turn in self.turns[BARE] if turn.senders == senders]

        def three(values: Callable[[Turn], tuple[float, ...]]) -> list[float]:
            return [median(each) for each in zip(*map(values, turns), strict=True)]

        return {
            "system": name,
            "senders": senders,
            "turns": len(turns),
            "runs": sum(turn.runs for turn in turns),
            "rate": median(turn.rate for turn in turns),
            "of_bare": median(
                ours.rate / other.rate if other.rate else 0
                for ours, other in zip(turns, bare, strict=True)
            ),
            "accepted_ms": three(lambda turn: turn.accepted),
            "first_call_ms": three(lambda turn: turn.first_call),
            "contained_ms": three(lambda turn: turn.contained),
            "cpu_ms": _by_name(turn.cpu for turn in turns),
            "cpu_ms_sum": median(turn.cpu_sum for turn in turns),
            "cpu_of_bare": median(
                ours.cpu_sum / other.cpu_sum if other.cpu_sum else 0
                for ours, other in zip(turns, bare, strict=True)
            ),
            "bytes": _by_name(turn.bytes for turn in turns),
        }


def _percentiles(values: list[float]) -> tuple[float, float, float]:
    return percentile(values, 50), percentile(values, 95), percentile(values, 99)


def _by_name(found: Iterable[dict[str, float]]) -> dict[str, float]:
    every = list(found)
    return {name: median(each[name] for each in every) for name in every[0]}


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *body))
