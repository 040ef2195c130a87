"""The compiled plan: every kind of step gives all of its inner steps, and every function knows every kind."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.plan import (
    AnyStep,
    BlockKind,
    Plan,
    Step,
    StepBlock,
    walk,
    without_rounds,
)

ROOT = Path(__file__).parents[2]
KINDS = {kind.model_fields["kind"].default: kind for kind in Step.__subclasses__()}


def wait(name: str) -> plan.Wait:
    return plan.Wait(id=name, seconds=1, on_error=(plan.Wait(id=f"{name}_failed", seconds=1),))


def plan_of(*steps: AnyStep, on_failure: Any = "stop") -> Plan:
    return Plan(playbook="x", version=1, title="X", owner="soc", steps=steps, on_failure=on_failure)


COMMON: dict[str, Any] = {"on_error": (wait("handler"),)}
STEPS: dict[str, AnyStep] = {
    "use": plan.Use(
        id="use",
        connection="firewall",
        capability="firewall",
        action="block_address",
        effect=Effect.CONTAIN,
        **COMMON,
    ),
    "parallel": plan.Parallel(id="parallel", steps=(wait("a"), wait("b")), **COMMON),
    "for_each": plan.ForEach(
        id="for_each", items=[1], name="item", at_most=1, steps=(wait("c"),), **COMMON
    ),
    "choose": plan.Choose(
        id="choose",
        branches=(
            plan.Branch(when="true", steps=(wait("d"),)),
            plan.Branch(when="false", steps=(wait("e"),)),
        ),
        otherwise=(wait("f"),),
        **COMMON,
    ),
    "repeat": plan.Repeat(id="repeat", steps=(wait("g"),), until="true", at_most=1, **COMMON),
    "wait": plan.Wait(id="wait", seconds=1, **COMMON),
    "ask": plan.Ask(
        id="ask",
        question="?",
        form={"a": plan.FormField(type="text", label="A")},
        **COMMON,
    ),
    "call": plan.CallPlaybook(
        id="call", plan=plan_of(wait("h"), on_failure=(wait("i"),)), **COMMON
    ),
}
"""One step of each kind, with other steps wherever that kind can hold them."""


def steps_in_fields(value: Any) -> list[Step]:
    """Return the nearest steps in any field of a model, found by reflection."""
    if isinstance(value, Step):
        return [value]
    if isinstance(value, tuple | list):
        return [step for each in value for step in steps_in_fields(each)]
    if isinstance(value, dict):
        return [step for each in value.values() for step in steps_in_fields(each)]
    fields = getattr(type(value), "model_fields", {})
    return [step for name in fields for step in steps_in_fields(getattr(value, name))]


def test_every_kind_of_step_is_tried_here() -> None:
    assert set(STEPS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_children_are_all_steps_that_the_fields_hold(kind: str) -> None:
    step = STEPS[kind]
    held = [
        each for name in KINDS[kind].model_fields for each in steps_in_fields(getattr(step, name))
    ]
    assert {each.id for each in step.children()} == {each.id for each in held}
    assert len(step.children()) == len(held)


@pytest.mark.parametrize("kind", KINDS)
def test_error_handlers_are_the_last_block_of_every_kind(kind: str) -> None:
    *_, last = STEPS[kind].blocks()
    assert last == StepBlock(BlockKind.ON_ERROR, (wait("handler"),))


def test_a_walk_meets_every_step_once_with_its_path() -> None:
    whole = plan_of(*STEPS.values(), on_failure=(wait("last"),))
    paths = [path for path, _ in walk(whole)]
    assert len(paths) == len(set(paths))
    assert [path for path in paths if "handler" not in path and "failed" not in path] == [
        "use", "parallel", "parallel/a", "parallel/b", "for_each", "for_each/c", "choose", "choose/d", "choose/e",
        "choose/f", "repeat", "repeat/g", "wait", "ask", "call", "call/h", "call/on_failure/i", "on_failure/last",
    ]  # fmt: skip
    assert "choose/d:on_error/d_failed" in paths
    assert "call:on_error/handler:on_error/handler_failed" in paths
    assert all(path.rpartition("/")[2] == step.id for path, step in walk(whole))


def test_a_path_without_its_rounds_is_that_of_the_walk() -> None:
    assert without_rounds("each[12]/again[2]/block:on_error/tell") == (
        "each/again/block:on_error/tell"
    )
    assert without_rounds("each[100+]") == "each"


WALKERS = {"blocks", "children", "walk", "walk_steps"}
CLASSES = {kind.__name__ for kind in KINDS.values()}


def kinds_matched(match: ast.Match) -> set[str]:
    """Return the kinds of step that the patterns of a `match` name."""
    found = set()
    for case in match.cases:
        for node in ast.walk(case.pattern):
            if isinstance(node, ast.MatchClass):
                name = ast.unparse(node.cls)
                if name in CLASSES or name.removeprefix("plan.") in CLASSES:
                    found.add(name.removeprefix("plan."))
    return found


def matches() -> list[tuple[str, ast.Match]]:
    """Return every `match` over two or more kinds of step in the product's code."""
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node)
        for folder in ("orchestrator", "connectors", "api")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "playbook.plan import" in (text := path.read_text("utf-8"))
        or "playbook import plan" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Match) and len(kinds_matched(node)) > 1
    ]


def test_every_match_over_kinds_of_step_is_checked_to_be_exhaustive() -> None:
    """Mypy then names each place that a new kind has to be added to."""
    found = matches()
    assert found
    open_ended = [
        where
        for where, match in found
        if not ast.unparse(match.cases[-1]).endswith("assert_never(step)")
    ]
    assert open_ended == []


def test_few_files_know_the_kinds_of_step() -> None:
    """Besides the schema, the plan and the compiler, a new kind touches at most four files."""
    files = {where.rpartition(":")[0] for where, _ in matches()}
    assert len(files) <= 4, sorted(files)
