"""Speed of playbook tests: plays the shipped playbooks' cases repeatedly; prints Markdown.

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
from orchestrator.authoring.rehearsal.rehearse import ReadFile, rehearse
from orchestrator.authoring.rehearsal.temporal_harness import open_harness
from orchestrator.authoring.rehearsal.tests_yaml.model import Case, CasesFile
from orchestrator.authoring.rehearsal.tests_yaml.read import read_tests
from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.plan import Plan

Played = tuple[str, Plan, CasesFile, Case]


async def main() -> int:
    """Return 1 when a case fails, or when all cases take longer than --at-most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cases", type=int, default=100, help="the number of cases that start a run"
    )
    parser.add_argument(
        "--at-most",
        type=float,
        default=10.0,
        help="the maximum seconds, without the server's start",
    )
    given = parser.parse_args()
    chosen = list(itertools.islice(itertools.cycle(_shipped()), given.cases))
    began = time.perf_counter()
    async with open_harness() as stage:
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
        "| cases | start-up s | played in s | cases/s | CPU s | failed |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    print(
        f"| {len(found)} | {up - began:.2f} | {took:.2f} | {len(found) / took:.1f} "
        f"| {used:.2f} | {len(wrong)} |"
    )
    for each in wrong[:5]:
        print(f"{each.case}: {'; '.join(each.problems)}", file=sys.stderr)
    return int(bool(wrong) or took > given.at_most)


def _shipped() -> Iterator[Played]:
    """Yield the cases that start a run; those of the trigger alone would be no work."""
    catalogue = usual_catalogue()
    for name in playbooks.NAMES:
        folder = playbooks.folder(name)
        text = folder.joinpath("playbook.yaml").read_text("utf-8")
        plan = compile_playbook(text, "playbook.yaml", catalogue, lambda _name, _version: None).plan
        cases = read_tests(folder.joinpath("tests.yaml").read_text("utf-8"), "tests.yaml", plan)
        yield from ((name, plan, cases, case) for case in cases.cases if case.triggers)


def _reader(name: str) -> ReadFile:
    folder = Path(str(playbooks.folder(name)))
    return lambda file: (folder / file).read_bytes()


def _processor() -> float:
    """Return this process's CPU seconds: the worker's, not those of the server."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
