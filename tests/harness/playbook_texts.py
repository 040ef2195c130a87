"""Playbooks in tests: steps in a frame, compiled plans, and problems as the bad texts expect them."""

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import CompiledPlaybook, compile_playbook
from orchestrator.playbook.plan import AnyStep, Plan
from orchestrator.playbook.problems import PlaybookInvalid, PlaybookProblem

FILE = "playbooks/x/playbook.yaml"
HEAD = """\
playbook: x
version: 1
title: X
owner: soc
trigger:
  when: alert.severity >= 4
"""
FIRST_STEP_LINE = HEAD.count("\n") + 2  # the line of the first step that `with_steps` writes

INDENT = 2  # of the steps that `with_steps` writes

CATALOGUE: Catalogue = usual_catalogue()


def with_steps(steps: str) -> str:
    """Return a playbook of these steps."""
    return HEAD + "steps:\n" + textwrap.indent(textwrap.dedent(steps).strip("\n"), "  ") + "\n"


def compiled(text: str, *published: Plan) -> CompiledPlaybook:
    """Return the compiled playbook, which may call `published`."""
    known = {(plan.playbook, plan.version): plan for plan in published}
    return compile_playbook(text, FILE, CATALOGUE, lambda name, version: known.get((name, version)))


def steps_of(steps: str, *published: Plan) -> tuple[AnyStep, ...]:
    """Return the compiled steps."""
    return compiled(with_steps(steps), *published).plan.steps


def problems_of(text: str, *published: Plan) -> tuple[PlaybookProblem, ...]:
    """Return every problem; none if the text compiles."""
    try:
        compiled(text, *published)
    except PlaybookInvalid as invalid:
        return invalid.problems
    return ()


@dataclass(frozen=True)
class BadText:
    """A wrong text and its one problem, without the file."""

    text: str
    problem: str


def bad_texts(name: str) -> dict[str, BadText]:
    """Return the texts of a file in tests/playbook: `=== name`, the text, `>>> the problem`."""
    found = {}
    for part in (
        (Path(__file__).parents[1] / "playbook" / name)
        .read_text(encoding="utf-8")
        .split("\n=== ")[1:]
    ):
        title, _, rest = part.partition("\n")
        text, _, problem = rest.partition("\n>>> ")
        found[title] = BadText(text, problem.strip())
    return found


def within_steps(problem: PlaybookProblem) -> str:
    """Return the problem with line and column counted within the steps given to `with_steps`."""
    moved = replace(
        problem, line=problem.line - FIRST_STEP_LINE + 1, column=problem.column - INDENT
    )
    return str(moved).removeprefix(f"{FILE}:")
