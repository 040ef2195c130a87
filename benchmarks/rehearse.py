"""How fast are tests of playbooks? Plays the shipped playbooks' cases, over and over up to so many, by the real engine; prints Markdown.

.venv/bin/python benchmarks/rehearse.py [--cases 100] [--at-most 10]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import playbooks
from orchestrator.authoring.rehearsal.rehearse import Read, rehearse
from orchestrator.authoring.rehearsal.temporal_harness import theatre
from orchestrator.authoring.rehearsal.tests_yaml.model import Case, Cases, read_cases
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.plan import Plan

Played = tuple[str, Plan, Cases, Case]


async def main() -> int:
    """Exit 1 when a case fails, or when all of them take longer than they may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100, help="how many that start a run")
    parser.add_argument(
        "--at-most",
        type=float,
        default=10.0,
        help="seconds that they may take, once the server is up",
    )
    given = parser.parse_args()
    chosen = list(itertools.islice(itertools.cycle(_shipped()), given.cases))
    began = time.perf_counter()
    async with theatre() as stage:
        up = time.perf_counter()
        used = _processor()
        found = await asyncio.gather(
            *(
                rehearse(plan, cases, case, _reader(name), stage)
                for name, plan, cases, case in chosen
            )
        )
        took = time.perf_counter() - up
        used = _processor() - used
    wrong = [each for each in found if each.problems]
    print(
        "| cases | start-up s | played in s | cases/s | our processor time s | failed |\n| --- | --- | --- | --- | --- | --- |"
    )
    print(
        f"| {len(found)} | {up - began:.2f} | {took:.2f} | {len(found) / took:.1f} | {used:.2f} | {len(wrong)} |"
    )
    for each in wrong[:5]:
        print(f"{each.case}: {'; '.join(each.problems)}", file=sys.stderr)
    return int(bool(wrong) or took > given.at_most)


def _shipped() -> Iterator[Played]:
    """Those that start a run; a case that only tries the trigger would be no work."""
    catalogue = usual_catalogue()
    for name in playbooks.NAMES:
        folder = playbooks.folder(name)
        text = folder.joinpath("playbook.yaml").read_text("utf-8")
        plan = compile_playbook(text, "playbook.yaml", catalogue, lambda _name, _version: None).plan
        cases = read_cases(folder.joinpath("tests.yaml").read_text("utf-8"), "tests.yaml", plan)
        yield from ((name, plan, cases, case) for case in cases.cases if case.triggers)


def _reader(name: str) -> Read:
    folder = Path(str(playbooks.folder(name)))
    return lambda file: (folder / file).read_bytes()


def _processor() -> float:
    """Seconds of processor time of this process, so of the worker, and not of the server."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
