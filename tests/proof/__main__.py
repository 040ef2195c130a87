"""Many sequences, by several processes: `python -m tests.proof --sequences 2000 --processes 2`. Exit 1 when a law was broken."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

BATCH = 50
PATIENCE = 90.0
"""Seconds that a batch may take beyond the time that was given."""


def main() -> int:
    """Plays, counts, and says what broke with the seed that repeats it."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--sequences", type=int, default=2000, help="how many in all")
    parser.add_argument("--processes", type=int, default=2, help="each with a server and a store of its own")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new batch after so many")
    parser.add_argument("--seed", type=int, default=1, help="where the seeds of the batches begin")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    return _one(given) if given.one else _all(given)


def _all(given: argparse.Namespace) -> int:
    began, share = time.monotonic(), -(-given.sequences // given.processes)
    common = [sys.executable, "-m", "tests.proof", "--one", "--sequences", str(share), "--seconds", str(given.seconds)]
    children = [
        subprocess.Popen([*common, "--seed", str(given.seed + number * 1_000_000)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for number in range(given.processes)
    ]
    found = [_told(child, given.seconds) for child in children]
    played = sum(each["sequences"] for each in found)
    print(f"{played} sequences in {time.monotonic() - began:.0f} s by {given.processes} processes", flush=True)
    for each in found:
        if each["error"]:
            print(f"seed {each['seed']}: {each['error']}\n  after: {', '.join(each['deeds'])}")
    short = played < given.sequences and given.seconds == float("inf")
    return 1 if short or any(each["error"] for each in found) else 0


def _told(child: subprocess.Popen[bytes], limit: float) -> dict[str, Any]:
    try:
        out, _ = child.communicate(timeout=None if limit == float("inf") else limit + PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        return {"sequences": 0, "seed": None, "deeds": [], "error": f"a sequence did not come to its end within {PATIENCE} s"}
    lines = [line for line in out.decode(errors="replace").splitlines() if line.startswith("{")]
    if child.returncode == 0 and lines:
        return dict(json.loads(lines[-1]))
    return {"sequences": 0, "seed": None, "deeds": [], "error": f"the process ended with {child.returncode}"}


def _one(given: argparse.Namespace) -> int:
    from .machine import THEATRE
    from .trying import tried

    began, played, number = time.monotonic(), 0, given.seed
    error, deeds = None, ()
    while played < given.sequences and error is None and time.monotonic() - began < given.seconds:
        outcome = tried(min(BATCH, given.sequences - played), number)
        played, error, deeds = played + outcome.sequences, outcome.error, outcome.deeds
        number += 1
    THEATRE.close()  # else its server lives on, and holds the pipe
    print(json.dumps({"sequences": played, "seed": number - 1, "error": error, "deeds": list(deeds)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
