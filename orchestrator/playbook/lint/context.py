"""What a rule looks at: the playbook, where its parts stand, and what holds at each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.playbook import plan
from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.playbook.compile.compiler import Examined
from orchestrator.playbook.compile.diagnostics import Report
from orchestrator.playbook.compile.expression_checks import Place
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.case_facts import ANYHOW, Cases
from orchestrator.playbook.lint.condition_solver import Reasoner


@dataclass(frozen=True, slots=True)
class Site:
    """A step in its surroundings. `around`: the steps that it lies in, the outermost first."""

    step: plan.AnyStep
    path: Path
    around: tuple[Site, ...] = ()

    @property
    def line(self) -> tuple[Site, ...]:
        """The surrounding steps, and this one last."""
        return (*self.around, self)


class Draft:
    """A playbook under examination."""

    def __init__(self, examined: Examined, file: str, catalogue: Catalogue) -> None:
        self.plan = examined.compiled.plan
        self.document = examined.document
        self.places = examined.places
        self.source = examined.compiled.source
        self.report = Report(file, examined.document)
        self.file = file
        self._catalogue = catalogue
        self._paths = examined.paths
        self._conditions = {place.path: place for place in examined.places if place.condition}
        self._cases: dict[Path, Cases] = {}
        self._implied: dict[str, Cases] = {}
        start = self._narrowed(("trigger", "when"), ANYHOW)
        self._cases[()] = start
        self._cases["trigger", "when"] = ANYHOW
        handlers = self.plan.on_failure if isinstance(self.plan.on_failure, tuple) else ()
        self.sites: tuple[Site, ...] = (
            *self._steps(self.plan.steps, (), start),
            *self._steps(handlers, (), start),
        )

    def action(self, step: plan.Use) -> ActionType | None:
        """The signature of what a step calls."""
        return self._catalogue.get(f"{step.connection}.{step.action}")

    def cases(self, path: Path) -> Cases:
        """What holds where an expression is evaluated; nothing: it never is."""
        return next(
            self._cases[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self._cases
        )

    def reasoner(self, place: Place) -> Reasoner:
        """Reasons over what is seen from a place."""
        return Reasoner(place.known.types(), self._implied)

    def condition_at(self, path: Path) -> Place | None:
        """The condition that stands at a path."""
        return self._conditions.get(path)

    def _narrowed(self, path: Path, cases: Cases, *, holds: bool = True) -> Cases:
        """The cases once the condition at a path came out so; the same where there is none."""
        self._cases[path] = cases
        place = self._conditions.get(path)
        return (
            cases
            if place is None
            else self.reasoner(place).assume(parse(place.value), cases, holds=holds)
        )

    def _steps(
        self, steps: tuple[plan.AnyStep, ...], around: tuple[Site, ...], cases: Cases
    ) -> Iterator[Site]:
        for step in steps:
            site = Site(step, self._paths[step.id], around)
            inside = self._narrowed((*site.path, "when"), cases)
            self._cases[site.path] = inside
            self._implied[f"steps.{step.id}"] = inside
            yield site
            yield from self._within(site, inside)
            handlers = step.on_error if isinstance(step.on_error, tuple) else ()
            yield from self._steps(handlers, site.line, inside)

    def _within(self, site: Site, cases: Cases) -> Iterator[Site]:
        match site.step:
            case plan.Parallel(steps=steps) | plan.ForEach(steps=steps) | plan.Repeat(steps=steps):
                yield from self._steps(steps, site.line, cases)
            case plan.Choose() as step:
                yield from self._branches(step, site, cases)

    def _branches(self, step: plan.Choose, site: Site, cases: Cases) -> Iterator[Site]:
        here = (*site.path, "choose")
        for index, branch in enumerate(step.branches):
            path = (*here, index)
            self._cases[path] = self._narrowed((*path, "when"), cases)
            yield from self._steps(branch.steps, site.line, self._cases[path])
            cases = self._narrowed((*path, "when"), cases, holds=False)
        self._cases[*here, len(step.branches)] = cases
        yield from self._steps(step.otherwise, site.line, cases)
