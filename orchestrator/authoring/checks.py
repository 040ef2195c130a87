"""Checks of a draft before it is published: compile, lint, compare with another version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.diff.model import DiffEntry, render_markdown
from orchestrator.playbook.diff.plans import diff_plans
from orchestrator.playbook.lint.rule import LintFinding
from orchestrator.playbook.lint.rules import lint_playbook
from orchestrator.playbook.plan import CallPlaybook, Plan, walk
from orchestrator.registry.drafts import Draft
from orchestrator.registry.publish import check_playbook, load_resolve
from orchestrator.runtime import Runtime
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


class PlaybookComparison(Frozen):
    """How two playbooks differ in meaning, the most dangerous changes first.

    Danger 4: does more, or is asked less; 3: reaches further; 2: does it differently; 1: does
    less, or asks more; 0: words only.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "a": "c2-beacon-containment@3",
                "b": "c2-beacon-containment@4",
                "same": False,
                "changes": [
                    {
                        "danger": 4,
                        "kind": "effect",
                        "step": "isolate",
                        "sentence": "can now isolate hosts (edr.isolate_host, step isolate)",
                    }
                ],
                "markdown": "### `c2-beacon-containment@3` -> `c2-beacon-containment@4`\n...",
            }
        }
    )

    a: str
    b: str
    same: bool
    changes: tuple[DiffEntry, ...]
    markdown: Annotated[str, Field(description="For a comment on a pull request.")]


async def check_draft(
    rt: Runtime | None, text: str, file: str, given: Sequence[Draft] = ()
) -> CheckedPlaybook:
    """Compile a draft as publishing it would, after the drafts that are given with it.

    Raises PlaybookInvalid with every problem.
    """
    compiled = await check_playbook(rt, text, file, given)
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


async def lint_draft(
    rt: Runtime | None, text: str, file: str, given: Sequence[Draft] = ()
) -> tuple[LintFinding, ...]:
    """Return every finding that is not waived; the draft may call those given with it.

    Without a runtime, the usual connections are assumed. Raises PlaybookInvalid.
    """
    return lint_playbook(text, file, await load_catalogue(rt), await load_resolve(rt, given))


def compare_plans(a: Plan, b: Plan) -> PlaybookComparison:
    """Return what `b` does differently from `a`."""
    diff = diff_plans(a, b)
    return PlaybookComparison(
        a=diff.a, b=diff.b, same=diff.same, changes=diff.changes, markdown=render_markdown(diff)
    )


async def compile_draft(rt: Runtime | None, text: str, file: str) -> Plan:
    """Return the plan of a text. Raises PlaybookInvalid."""
    return (await check_playbook(rt, text, file)).plan


async def load_published_plan(rt: Runtime, name: str, version: int | None) -> Plan:
    """Return the plan of a version, by default of the one that takes alerts. Raises NotFound."""
    async with rt.store.read() as session:
        row = await runs.get_playbook(session, name, version)
    if row is None:
        which = f"playbook {name}" + (f" version {version}" if version is not None else "")
        raise NotFound(f"{which} does not exist, or is retired; see `tocsin playbook list`")
    return Plan.model_validate(row.plan)
