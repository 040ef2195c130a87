"""Compilation of steps: what each sees, what it becomes, and what later steps see of it."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from orchestrator.playbook import plan
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile import results
from orchestrator.playbook.compile.diagnostics import Diagnostics
from orchestrator.playbook.compile.expression_checks import ExpressionChecker, VisibleNames
from orchestrator.playbook.compile.inputs import inputs_schema
from orchestrator.playbook.compile.leaf_steps import LeafCompiler
from orchestrator.playbook.language.types import ANY, ObjectOf, Type, nullable
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.schema import steps as spec

MAX_STEPS = 500  # including those of called playbooks
MAX_LEVELS = 8

Resolve = Callable[[str, int], plan.Plan | None]
"""Returns a published plan by name and version."""

Exports = dict[str, Type]
"""What later steps see under each step id."""

Compiled = tuple[plan.AnyStep, Type, Exports]
"""A step, the type of its result, and what later steps see of the steps inside of it."""

_RESERVED = frozenset(
    {"alert", "steps", "inputs", "run", "event", "changes", "none", "null", "true", "false", "is"}
) | {word.lower() for word in keyword.kwlist}


@dataclass(frozen=True, slots=True)
class _StepSite:
    """Where a step stands, and the compiled fields that it shares with every kind."""

    path: Path
    names: VisibleNames
    level: int
    common: dict[str, Any]


class StepCompiler:
    """A compiler of the steps of one playbook.

    `broken` holds the ids of steps that could not be parsed. Their results may have any type.
    """

    def __init__(
        self,
        diagnostics: Diagnostics,
        checker: ExpressionChecker,
        catalogue: Catalogue,
        resolve: Resolve,
        *,
        playbook: str,
        broken: frozenset[str],
    ) -> None:
        self._diagnostics = diagnostics
        self._checker = checker
        self._leaves = LeafCompiler(diagnostics, checker, catalogue)
        self._resolve = resolve
        self._playbook = playbook
        self._broken = broken

    def steps(
        self, steps: Sequence[spec.AnyStepSpec], path: Path, names: VisibleNames, level: int = 1
    ) -> tuple[tuple[plan.AnyStep, ...], Exports]:
        """Compile steps in sequence, each of which sees those before it."""
        if level > MAX_LEVELS:
            self._refuse_nesting(path)
            return (), {}
        compiled: list[plan.AnyStep] = []
        exports: Exports = {}
        for index, step in enumerate(steps):
            one, own = self._step(step, (*path, index), names.after(exports), level)
            compiled.append(one)
            exports |= own
        return tuple(compiled), exports

    def _refuse_nesting(self, path: Path) -> None:
        self._diagnostics.add(
            path,
            f"steps are nested more than {MAX_LEVELS} deep",
            "move the inner ones to a playbook and `call` it",
        )

    def _step(
        self, step: spec.AnyStepSpec, path: Path, names: VisibleNames, level: int
    ) -> tuple[plan.AnyStep, Exports]:
        self._checker.condition(step.when, (*path, "when"), names)
        on_error, handled = self._on_error(step, path, names, level)
        common: dict[str, Any] = {
            "id": step.id,
            "when": step.when,
            "retry": plan.Retry(**step.retry.model_dump()) if step.retry else None,
            "timeout": step.timeout,
            "on_error": on_error,
            "approve": self._leaves.approve(step.approve, (*path, "approve"), names),
        }
        compiled, result, inner = self._kind(step, _StepSite(path, names, level, common))
        if step.approve and step.id not in self._broken and not _changes(compiled):
            self._diagnostics.add(
                (*path, "approve"),
                "the step changes nothing that could be approved",
                "remove it, or use `ask` to ask a person",
                key=True,
            )
        exports = {step.id: result, **inner}
        if step.when is not None or step.on_error != "fail":
            exports = all_nullable(exports)
        exports |= all_nullable(handled)
        return compiled, {
            name: ANY if name in self._broken else kind for name, kind in exports.items()
        }

    def _on_error(
        self, step: spec.StepSpec, path: Path, names: VisibleNames, level: int
    ) -> tuple[Any, Exports]:
        if isinstance(step.on_error, str):
            return step.on_error, {}
        return self.steps(step.on_error, (*path, "on_error"), names, level + 1)

    def _kind(self, step: spec.AnyStepSpec, at: _StepSite) -> Compiled:
        match step:
            case spec.UseStep():
                return *self._leaves.use(step, at.path, at.names, at.common), {}
            case spec.WaitStep():
                return *self._leaves.wait(step, at.path, at.names, at.common), {}
            case spec.AskStep():
                return *self._leaves.ask(step, at.path, at.names, at.common), {}
            case spec.ParallelStep():
                return self._parallel(step, at)
            case spec.ForEachStep():
                return self._for_each(step, at)
            case spec.ChooseStep():
                return self._choose(step, at)
            case spec.RepeatStep():
                return self._repeat(step, at)
            case spec.CallStep():
                return self._call(step, at)
            case _:
                assert_never(step)

    def _parallel(self, step: spec.ParallelStep, at: _StepSite) -> Compiled:
        branches: list[plan.AnyStep] = []
        exports: Exports = {}
        for index, branch in enumerate(step.parallel):
            here = (*at.path, "parallel", index)
            if at.level + 1 > MAX_LEVELS:
                self._refuse_nesting(here)
                continue
            compiled, own = self._step(branch, here, at.names, at.level + 1)
            branches.append(compiled)
            exports |= own
        result = ObjectOf({branch.id: exports[branch.id] for branch in branches})
        return plan.Parallel(**at.common, steps=tuple(branches)), result, exports

    def _for_each(self, step: spec.ForEachStep, at: _StepSite) -> Compiled:
        item = self._checker.item(step.for_each, (*at.path, "for_each"), at.names)
        if step.name in _RESERVED or step.name in at.names.names:
            self._diagnostics.add(
                (*at.path, "as"), f"the name {step.name!r} is already used", "choose another name"
            )
        if isinstance(step.for_each, list) and len(step.for_each) > step.at_most:
            self._diagnostics.add(
                (*at.path, "at_most"),
                f"the list has {len(step.for_each)} items, more than 'at_most: {step.at_most}'",
            )
        inner_names = at.names.with_names(**{step.name: item})
        inside, inner = self.steps(step.steps, (*at.path, "steps"), inner_names, at.level + 1)
        compiled = plan.ForEach(
            **at.common,
            items=step.for_each,
            name=step.name,
            at_most=step.at_most,
            at_once=step.at_once,
            steps=inside,
        )
        return compiled, results.for_each(item, inner), {}

    def _choose(self, step: spec.ChooseStep, at: _StepSite) -> Compiled:
        branches: list[plan.Branch] = []
        otherwise: tuple[plan.AnyStep, ...] = ()
        exports: Exports = {}
        for index, branch in enumerate(step.choose):
            here = (*at.path, "choose", index)
            if isinstance(branch, spec.OtherwiseSpec):
                if index == 0 or index < len(step.choose) - 1:
                    self._diagnostics.add(
                        (*here, "otherwise"),
                        "'otherwise' must be the last of several branches",
                        "put it last, after a `when`",
                        key=True,
                    )
                otherwise, inner = self.steps(
                    branch.otherwise, (*here, "otherwise"), at.names, at.level + 1
                )
            else:
                self._checker.condition(branch.when, (*here, "when"), at.names)
                inside, inner = self.steps(branch.steps, (*here, "steps"), at.names, at.level + 1)
                branches.append(plan.Branch(when=branch.when, steps=inside))
            exports |= all_nullable(inner)
        compiled = plan.Choose(**at.common, branches=tuple(branches), otherwise=otherwise)
        return compiled, results.CHOOSE, exports

    def _repeat(self, step: spec.RepeatStep, at: _StepSite) -> Compiled:
        here = (*at.path, "repeat")
        inside, inner = self.steps(step.repeat.steps, (*here, "steps"), at.names, at.level + 1)
        self._checker.condition(step.repeat.until, (*here, "until"), at.names.after(inner))
        compiled = plan.Repeat(
            **at.common,
            steps=inside,
            until=step.repeat.until,
            at_most=step.repeat.at_most,
            every=step.repeat.every or 0,
        )
        return compiled, results.REPEAT, inner

    def _call(self, step: spec.CallStep, at: _StepSite) -> Compiled:
        name, _, version = step.call.partition("@")
        called = self._resolve(name, int(version)) if name != self._playbook else None
        if problem := self._call_problem(step.call, name, called, at.level):
            self._diagnostics.add((*at.path, "call"), *problem)
        schema = inputs_schema(called.inputs) if called else {}
        self._checker.value(step.inputs, schema, (*at.path, "with"), at.names)
        empty = plan.Plan(playbook=name, version=int(version), title=name, owner=name, steps=())
        compiled = plan.CallPlaybook(**at.common, inputs=step.inputs, plan=called or empty)
        return compiled, results.CALL, {}

    def _call_problem(
        self, call: str, name: str, called: plan.Plan | None, level: int
    ) -> tuple[str, str] | None:
        """Return why a playbook cannot be called, and the fix."""
        if name == self._playbook or (called and self._playbook in _called(called)):
            return (
                f"{call} leads back to {self._playbook!r}",
                "a playbook cannot call itself, directly or through another",
            )
        if called is None:
            return (
                f"{call} is not published",
                "publish it first, pin a published version, or name both playbooks in one command",
            )
        if called.trigger is not None:
            return (
                f"{call} has a trigger, and a called playbook sees only its inputs",
                "call a playbook without a trigger",
            )
        if level + _depth(called.steps) > MAX_LEVELS:
            return (
                f"with {call}, steps are nested more than {MAX_LEVELS} deep",
                "call it from a less nested step",
            )
        return None


def all_nullable(exports: Mapping[str, Type]) -> Exports:
    """Return what is seen of steps that may not have run."""
    return {name: nullable(kind) for name, kind in exports.items()}


def _depth(steps: Sequence[plan.AnyStep]) -> int:
    """Return how deep steps are nested: 1 for a flat sequence."""
    return 1 + max((_depth(step.children()) for step in steps), default=0) if steps else 0


def _changes(step: plan.AnyStep) -> bool:
    inside = plan.walk_steps([step])
    return any(isinstance(each, plan.Use) and each.effect.changes for _, each in inside)


def _called(called: plan.Plan) -> set[str]:
    """Return the names of a playbook and of all that it calls."""
    calls = (step for _, step in plan.walk(called) if isinstance(step, plan.CallPlaybook))
    return {called.playbook, *(call.plan.playbook for call in calls)}
