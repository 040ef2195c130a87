"""How these tests write and compile playbooks: steps in a frame, problems as tuples."""

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.connections.catalogue import usual_catalogue
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import Compiled, compile_playbook
from orchestrator.playbook.plan import AnyStep, Plan
from orchestrator.playbook.problems import PlaybookInvalid, Problem

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

INDENT = 2  # how far it moves them in

CATALOGUE: Catalogue = usual_catalogue()


def with_steps(steps: str) -> str:
    """A playbook of these steps."""
    return HEAD + "steps:\n" + textwrap.indent(textwrap.dedent(steps).strip("\n"), "  ") + "\n"


def compiled(text: str, *published: Plan) -> Compiled:
    """The compiled playbook; `published` can be called."""
    known = {(plan.playbook, plan.version): plan for plan in published}
    return compile_playbook(text, FILE, CATALOGUE, lambda name, version: known.get((name, version)))


def steps_of(steps: str, *published: Plan) -> tuple[AnyStep, ...]:
    """The compiled steps."""
    return compiled(with_steps(steps), *published).plan.steps


def problems_of(text: str, *published: Plan) -> tuple[Problem, ...]:
    """Every problem; none when it compiles."""
    try:
        compiled(text, *published)
    except PlaybookInvalid as invalid:
        return invalid.problems
    return ()


@dataclass(frozen=True)
class Case:
    """A wrong text, and the one problem that is told of it, without the file."""

    text: str
    told: str


def cases(name: str) -> dict[str, Case]:
    """The cases of a file beside this one: `=== name`, the text, `>>> what is told`."""
    found = {}
    for part in (
        (Path(__file__).parents[1] / "playbook" / name)
        .read_text(encoding="utf-8")
        .split("\n=== ")[1:]
    ):
        title, _, rest = part.partition("\n")
        text, _, told = rest.partition("\n>>> ")
        found[title] = Case(text, told.strip())
    return found


def within_steps(problem: Problem) -> str:
    """The problem as `cases` tells it: line and column count within the steps that `with_steps` was given."""
    moved = replace(
        problem, line=problem.line - FIRST_STEP_LINE + 1, column=problem.column - INDENT
    )
    return str(moved).removeprefix(f"{FILE}:")
