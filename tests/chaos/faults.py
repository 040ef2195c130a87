"""What goes wrong: a process is killed, ended, or stopped for a while, at random or at a point."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx

from tests.chaos import fault_points
from tests.chaos.arena import Arena
from tests.harness.stack import until

PROGRAMS = ("worker", "api", "temporal", "lab")
PAIRS = tuple(
    (first, second) for number, first in enumerate(PROGRAMS) for second in PROGRAMS[number + 1 :]
)
STOPS = (5.0, 15.0)
"""Seconds that a process is stopped, at least and at most."""
_POINT_SECONDS = 8.0
"""How long a point stays armed for a process to reach it."""
_VENDOR_FAULTS = (
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 2},
    {"kind": "lost_reply"},
    {"kind": "half_closed"},
    {"kind": "garbage", "when": "after"},
    {"kind": "latency", "seconds": 12},
)


@dataclass(frozen=True, slots=True)
class ChaosFault:
    """A fault, by the name that a report counts it under."""

    name: str
    strike: Callable[[Arena], bool]
    """Causes it. Returns whether it happened."""


def choose(chance: random.Random) -> ChaosFault:
    """Return a fault of a kind that is drawn first, so that points do not crowd out the rest."""
    kinds: tuple[Callable[[random.Random], ChaosFault], ...] = (
        _kill, _kill_pair, _stop, _terminate, _supervisor, _point, _point, _point, _vendor,
    )  # fmt: skip
    return chance.choice(kinds)(chance)


def at_point(point: str) -> ChaosFault:
    """Return the death of the next process that reaches a point."""

    def strike(arena: Arena) -> bool:
        fault_points.arm(arena.armed, point)
        deadline = time.monotonic() + _POINT_SECONDS
        while (arena.armed / point).exists() and time.monotonic() < deadline:
            time.sleep(0.05)  # looks whether a process has reached it
        return not fault_points.disarm(arena.armed)

    return ChaosFault(f"at {point}", strike)


def _point(chance: random.Random) -> ChaosFault:
    return at_point(chance.choice(fault_points.POINTS))


def _kill(chance: random.Random) -> ChaosFault:
    name = chance.choice(PROGRAMS)
    return ChaosFault(f"kill {name}", lambda arena: arena.signal(name, signal.SIGKILL))


def _kill_pair(chance: random.Random) -> ChaosFault:
    pair = chance.choice(PAIRS)

    def strike(arena: Arena) -> bool:
        struck = [
            arena.signal(name, signal.SIGKILL) for name in pair
        ]  # both, whatever the first says
        return all(struck)

    return ChaosFault("kill " + " and ".join(pair), strike)


def _terminate(chance: random.Random) -> ChaosFault:
    name = chance.choice(PROGRAMS)
    return ChaosFault(f"terminate {name}", lambda arena: arena.signal(name, signal.SIGTERM))


def _stop(chance: random.Random) -> ChaosFault:
    name, seconds = chance.choice(PROGRAMS), chance.uniform(*STOPS)

    def strike(arena: Arena) -> bool:
        pid = arena.stack.children().get(name)
        if pid is None or not arena.signal(name, signal.SIGSTOP):
            return False
        time.sleep(seconds)  # the fault itself
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return True

    return ChaosFault(f"stop {name}", strike)


def _supervisor(chance: random.Random) -> ChaosFault:
    number = chance.choice((signal.SIGKILL, signal.SIGTERM))

    def strike(arena: Arena) -> bool:
        children = arena.stack.children().values()
        struck = arena.signal("supervisor", number)
        until(lambda: arena.has_ended(children), 60, "the end of the supervisor's children")
        arena.revive()
        return struck

    return ChaosFault(f"{'kill' if number == signal.SIGKILL else 'terminate'} supervisor", strike)


def _vendor(chance: random.Random) -> ChaosFault:
    fault = chance.choice(_VENDOR_FAULTS)
    emulator = chance.choice(("palo_alto", "jira", "virustotal"))

    def strike(arena: Arena) -> bool:
        with suppress(httpx.HTTPError):
            httpx.post(
                f"http://127.0.0.1:{arena.stack.listening['lab']}/_lab/faults",
                json={"emulator": emulator, "times": 3, **fault},
                timeout=5,
            ).raise_for_status()
            return True
        return False

    return ChaosFault(f"{emulator} {fault['kind']}", strike)
