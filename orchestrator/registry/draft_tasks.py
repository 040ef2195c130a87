"""The tasks of drafts, which the sandbox carries out: compile and lint."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.model import Frozen
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import Resolve, compile_playbook
from orchestrator.playbook.lint.rule import LintFinding
from orchestrator.playbook.lint.rules import lint_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.registry.drafts import resolve_with
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

    def resolve(self) -> Resolve:
        """Return how a call finds its playbook."""
        plans = [Plan.model_validate(each) for each in self.published]
        known = {(plan.playbook, plan.version): plan for plan in plans}
        return resolve_with(self.given, self.catalogue, known)


class CompiledDraft(Frozen):
    """A draft that compiles."""

    plan: Plan
    positions: dict[str, tuple[int, int]]


def _compile(request: DraftAnalysis) -> CompiledDraft:
    found = compile_playbook(request.text, request.file, request.catalogue, request.resolve())
    return CompiledDraft(plan=found.plan, positions=found.positions)


def _lint(request: DraftAnalysis) -> tuple[LintFinding, ...]:
    return lint_playbook(request.text, request.file, request.catalogue, request.resolve())


COMPILE = SandboxTask(f"{__name__}:COMPILE", _compile, DraftAnalysis, CompiledDraft)
LINT = SandboxTask(f"{__name__}:LINT", _lint, DraftAnalysis, tuple[LintFinding, ...])
