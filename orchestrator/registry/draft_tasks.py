"""The tasks of drafts, which the sandbox carries out: compile and lint."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.model import Frozen
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.lint.rule import LintFinding
from orchestrator.playbook.lint.rules import lint_analyzed
from orchestrator.playbook.plan import Plan
from orchestrator.registry.drafts import DraftSet
from orchestrator.sandbox.task import SandboxTask


class CallableDraft(Frozen):
    """A draft that another one may call."""

    file: str
    text: str


class DraftAnalysis(Frozen):
    """A draft, and what it may use."""

    text: str
    file: str
    catalogue: Catalogue
    published: tuple[dict[str, Any], ...] = ()
    """The plans of the versions that it may call."""
    given: tuple[CallableDraft, ...] = ()
    """Drafts that it may call."""

    def drafts(self) -> DraftSet[CallableDraft]:
        """Return the draft, as the first of the set, and those that it may call."""
        plans = [Plan.model_validate(each) for each in self.published]
        known = {(plan.playbook, plan.version): plan for plan in plans}
        draft = CallableDraft(file=self.file, text=self.text)
        return DraftSet([draft, *self.given], self.catalogue, known)


class CompiledDraft(Frozen):
    """A draft that compiles."""

    plan: Plan
    positions: dict[str, tuple[int, int]]


def _compile(request: DraftAnalysis) -> CompiledDraft:
    found = request.drafts().analyze(0).compiled
    return CompiledDraft(plan=found.plan, positions=found.positions)


def _lint(request: DraftAnalysis) -> tuple[LintFinding, ...]:
    return lint_analyzed(request.drafts().analyze(0), request.file, request.catalogue)


COMPILE = SandboxTask(f"{__name__}:COMPILE", _compile, DraftAnalysis, CompiledDraft)
LINT = SandboxTask(f"{__name__}:LINT", _lint, DraftAnalysis, tuple[LintFinding, ...])
