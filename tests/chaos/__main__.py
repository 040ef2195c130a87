"""Chaos: `python -m tests.chaos --rounds 10 --alerts 40 --faults 5` exits 1 when anything broke."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.chaos import fault_points
from tests.chaos.play import Round, play


def main() -> int:
    """Play rounds, and print what happened in each. Return 1 where a round broke something."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="each with its own stack")
    parser.add_argument("--alerts", type=int, default=40, help="of a round, at least")
    parser.add_argument("--faults", type=int, default=5, help="of a round, at random moments")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two alerts")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument(
        "--points",
        nargs="?",
        const="",
        metavar="TEXT",
        help="instead: every named fault point, or those with a text, one after another",
    )
    given = parser.parse_args()
    points = [each for each in fault_points.POINTS if given.points and given.points in each]
    if given.points == "":
        points = list(fault_points.POINTS)
    struck = Counter[str]()
    late: list[float] = []
    broken = 0
    for number in range(given.rounds):
        asked = Round(
            seed=given.seed + number,
            alerts=given.alerts,
            pause=given.pause,
            workers=given.workers,
            faults=0 if points else given.faults,
            points=tuple(points[number :: given.rounds]),
        )
        found, happened = play(asked)
        struck += happened
        late += found.late
        broken += bool(found)
        print(
            f"round {number + 1}, seed {asked.seed}: {found.alerts} alerts,"
            f" {happened.total()} faults, {len(found.faults)} broken",
            flush=True,
        )
        for each in found.faults:
            print(f"  {each}", flush=True)
    _summarize(given.rounds, broken, struck, sorted(late))
    return int(broken > 0)


def _summarize(rounds: int, broken: int, struck: Counter[str], late: list[float]) -> None:
    for name, count in sorted(struck.items()):
        print(f"{count:5} {name}")
    if late:
        p95 = late[len(late) * 95 // 100]
        print(f"{len(late)} releases, p95 {p95:.1f} s after their end, the latest {late[-1]:.1f} s")
    print(f"{struck.total()} faults in {rounds} rounds, {broken} rounds broken")


if __name__ == "__main__":
    sys.exit(main())
