"""One round: a stack, its alerts, and what goes wrong meanwhile."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import faults
from tests.chaos.arena import Arena
from tests.chaos.judgement import Judgement, judge
from tests.chaos.observer import Observer
from tests.harness.stack import until

_PASSES = 4
"""How often a point that no process reached in time is armed again."""


@dataclass(frozen=True, slots=True)
class Round:
    """What is asked of a round."""

    seed: int
    alerts: int
    pause: float
    """Seconds between two alerts."""
    workers: int
    faults: int
    """At random moments, whether the stack has recovered from the one before or not."""
    points: tuple[str, ...] = ()
    """Each once, when the stack has recovered from the one before."""


def play(asked: Round) -> tuple[Judgement, Counter[str]]:
    """Play a round. Return what broke, and which faults happened."""
    chance = random.Random(asked.seed)
    happened = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as scratch:
        arena = Arena(Path(scratch), asked.workers, asked.seed)
        observer = Observer(arena.stack)
        try:
            arena.start()
            observer.start()
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(arena.send, asked.alerts, asked.pause)
                try:
                    for _ in range(asked.faults):
                        _strike(arena, faults.choose(chance), chance, happened)
                    left = _strike_points(arena, asked.points, chance, happened)
                finally:
                    arena.no_more.set()
                sending.result()
            found = judge(arena, observer)
            found.faults += [f"not reached: {point}" for point in left]
            return found, +happened
        finally:
            observer.close()
            arena.close()


def _strike_points(
    arena: Arena, points: tuple[str, ...], chance: random.Random, happened: Counter[str]
) -> list[str]:
    """Let a process die at each point. Return the points that none reached."""
    left = list(points)
    for _ in range(_PASSES):
        missed = []
        for point in left:
            if not _strike(arena, faults.at_point(point), chance, happened):
                missed.append(point)
            until(arena.is_ready, 120, "a stack that is ready again")
        left = missed
    return left


def _strike(
    arena: Arena, fault: faults.ChaosFault, chance: random.Random, happened: Counter[str]
) -> bool:
    time.sleep(chance.uniform(0.2, 2))  # the moment of the fault
    struck = fault.strike(arena)
    happened[fault.name] += struck
    return struck
