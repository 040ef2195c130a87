"""Checks of a draft before it is published: compile, lint, compare with another version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from orchestrator.authoring.plan_tasks import COMPARE, PlanPair, PlaybookComparison
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.compile.compiler import CompiledPlaybook
from orchestrator.playbook.lint.rule import LintFinding
from orchestrator.playbook.plan import CallPlaybook, Plan, walk
from orchestrator.registry.analysis import compile_draft
from orchestrator.registry.drafts import Draft
from orchestrator.runtime import Runtime
from orchestrator.sandbox.task import InProcess
from orchestrator.store.queries import runs


class CheckedPlaybook(Frozen):
    """A playbook that can be published."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "playbook": "block-address",
                "version": 1,
                "title": "Block an address",
                "digest": "6f1c0f2b",
                "positions": {"block": [8, 5]},
                "calls": ["lock-account@2"],
            }
        }
    )

    playbook: str
    version: int
    title: str
    digest: str
    positions: Annotated[
        dict[str, tuple[int, int]], Field(description="Line and column of each step.")
    ]
    calls: Annotated[
        tuple[str, ...], Field(description="The versions that it calls, as NAME@VERSION.")
    ]


class LintReport(Frozen):
    """What the lint rules find in a playbook; empty when it is good."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "findings": [
                    {
                        "file": "playbook.yaml",
                        "line": 9,
                        "column": 5,
                        "step": "block",
                        "rule": "contain-without-for",
                        "message": "firewall.block_address stays until a person lifts it",
                        "fix": "say how long it is needed: `for: 24h`",
                    }
                ]
            }
        }
    )

    findings: tuple[LintFinding, ...]


async def check_draft(
    rt: Runtime | None, text: str, file: str, given: Sequence[Draft] = ()
) -> CheckedPlaybook:
    """Compile a draft as publishing it would, after the drafts that are given with it.

    Raises PlaybookInvalid with every problem.
    """
    return describe(await compile_draft(rt, text, file, given))


def describe(compiled: CompiledPlaybook) -> CheckedPlaybook:
    """Return what a check says of a playbook that compiles."""
    plan = compiled.plan
    called = (step.plan for _, step in walk(plan) if isinstance(step, CallPlaybook))
    return CheckedPlaybook(
        playbook=plan.playbook,
        version=plan.version,
        title=plan.title,
        digest=plan.digest,
        positions=compiled.positions,
        calls=tuple(dict.fromkeys(f"{each.playbook}@{each.version}" for each in called)),
    )


async def compare_plans(rt: Runtime | None, a: Plan, b: Plan) -> PlaybookComparison:
    """Return what `b` does differently from `a`. Raises as `Sandbox.run` does."""
    return await (InProcess() if rt is None else rt.sandbox).run(COMPARE, PlanPair(a=a, b=b))


async def load_published_plan(rt: Runtime, name: str, version: int | None) -> Plan:
    """Return the plan of a version, by default of the one that takes alerts. Raises NotFound."""
    async with rt.store.read() as session:
        row = await runs.get_playbook(session, name, version)
    if row is None:
        which = f"playbook {name}" + (f" version {version}" if version is not None else "")
        raise NotFound(f"{which} does not exist, or is retired; see `tocsin playbook list`")
    return Plan.model_validate(row.plan)
