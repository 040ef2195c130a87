"""The context of lint rules: the playbook, where its parts stand, and the facts at each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from orchestrator.playbook import plan
from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.playbook.compile.compiler import AnalyzedPlaybook
from orchestrator.playbook.compile.diagnostics import Diagnostics
from orchestrator.playbook.compile.expression_checks import CheckedExpression
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.case_facts import ANYHOW, Cases
from orchestrator.playbook.lint.condition_solver import ConditionSolver
from orchestrator.playbook.plan import BlockKind


@dataclass(frozen=True, slots=True)
class StepSite:
    """A step, where it stands, and the steps around it."""

    step: plan.AnyStep
    path: Path
    around: tuple[StepSite, ...] = ()  # outermost first

    @property
    def lineage(self) -> tuple[StepSite, ...]:
        """The steps around it, outermost first, and the step itself."""
        return (*self.around, self)


class LintContext:
    """A playbook that is linted."""

    def __init__(self, analyzed: AnalyzedPlaybook, file: str, catalogue: Catalogue) -> None:
        self.plan = analyzed.compiled.plan
        self.document = analyzed.document
        self.expressions = analyzed.expressions
        self.source = analyzed.compiled.source
        self.diagnostics = Diagnostics(file, analyzed.document)
        self.file = file
        self._catalogue = catalogue
        self._paths = analyzed.paths
        self._conditions = {place.path: place for place in analyzed.expressions if place.condition}
        self._cases: dict[Path, Cases] = {}
        self._implied: dict[str, Cases] = {}
        start = self._narrowed(("trigger", "when"), ANYHOW)
        self._cases[()] = start
        self._cases["trigger", "when"] = ANYHOW
        self.sites: tuple[StepSite, ...] = (
            *self._steps(self.plan.steps, (), start),
            *self._steps(self.plan.failure_steps, (), start),
        )

    def action(self, step: plan.Use) -> ActionType | None:
        """Return the signature of the action that a step calls."""
        return self._catalogue.get(f"{step.connection}.{step.action}")

    def cases(self, path: Path) -> Cases:
        """Return the cases at the path of an expression; empty when it is never evaluated."""
        return next(
            self._cases[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self._cases
        )

    def solver(self, place: CheckedExpression) -> ConditionSolver:
        """Return a solver over the names that an expression can see."""
        return ConditionSolver(place.names.types(), self._implied)

    def condition_at(self, path: Path) -> CheckedExpression | None:
        """Return the condition at a path."""
        return self._conditions.get(path)

    def _narrowed(self, path: Path, cases: Cases, *, holds: bool = True) -> Cases:
        """Return the cases after the condition at a path was (or was not) true."""
        self._cases[path] = cases
        place = self._conditions.get(path)
        return (
            cases
            if place is None
            else self.solver(place).assume(parse(place.value), cases, holds=holds)
        )

    def _steps(
        self, steps: tuple[plan.AnyStep, ...], around: tuple[StepSite, ...], cases: Cases
    ) -> Iterator[StepSite]:
        for step in steps:
            site = StepSite(step, self._paths[step.id], around)
            inside = self._narrowed((*site.path, "when"), cases)
            self._cases[site.path] = inside
            self._implied[f"steps.{step.id}"] = inside
            yield site
            yield from self._within(site, inside)

    def _within(self, site: StepSite, cases: Cases) -> Iterator[StepSite]:
        not_taken = cases  # in which no branch so far was taken
        for block in site.step.blocks():
            path = (*site.path, "choose", block.index)
            match block.kind:
                case BlockKind.BODY | BlockKind.PARALLEL | BlockKind.ON_ERROR:
                    yield from self._steps(block.steps, site.lineage, cases)
                case BlockKind.BRANCH:
                    self._cases[path] = self._narrowed((*path, "when"), not_taken)
                    yield from self._steps(block.steps, site.lineage, self._cases[path])
                    not_taken = self._narrowed((*path, "when"), not_taken, holds=False)
                case BlockKind.OTHERWISE:
                    self._cases[path] = not_taken
                    yield from self._steps(block.steps, site.lineage, not_taken)
                case BlockKind.CALLED | BlockKind.CALLED_ON_FAILURE:
                    pass  # linted as a playbook of its own
                case _:
                    assert_never(block.kind)
