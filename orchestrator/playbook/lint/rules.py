"""The registry of lint rules, one line each, and the lint of a playbook."""

from __future__ import annotations

from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import AnalyzedPlaybook, Resolve, analyze_playbook
from orchestrator.playbook.lint.classes import CLASS
from orchestrator.playbook.lint.context import LintContext
from orchestrator.playbook.lint.effects import APPROVAL, LEASE, TIMEOUT
from orchestrator.playbook.lint.flow import UNDEFINED, UNREACHABLE, UNUSED
from orchestrator.playbook.lint.questions import ANSWER, QUESTION, QUOTED_TEXT
from orchestrator.playbook.lint.rule import LintFinding, LintRule
from orchestrator.playbook.lint.secrets import SECRET
from orchestrator.playbook.lint.text_length import TOO_LONG
from orchestrator.playbook.lint.untrusted_text import EVERYTHING, TEXT_DECIDES
from orchestrator.playbook.lint.waivers import apply_waivers

RULES: tuple[LintRule, ...] = (
    UNREACHABLE,
    UNUSED,
    UNDEFINED,
    LEASE,
    APPROVAL,
    TIMEOUT,
    QUESTION,
    ANSWER,
    QUOTED_TEXT,
    TEXT_DECIDES,
    EVERYTHING,
    CLASS,
    SECRET,
    TOO_LONG,
)


def lint_playbook(
    text: str, file: str, catalogue: Catalogue, resolve: Resolve
) -> tuple[LintFinding, ...]:
    """Return every finding that is not waived, in the order of the file.

    Raises PlaybookInvalid for a playbook that does not compile.
    """
    return lint_analyzed(analyze_playbook(text, file, catalogue, resolve), file, catalogue)


def lint_analyzed(
    analyzed: AnalyzedPlaybook, file: str, catalogue: Catalogue
) -> tuple[LintFinding, ...]:
    """Return every finding of a compiled playbook that is not waived, in the order of the file."""
    context = LintContext(analyzed, file, catalogue)
    findings = dict.fromkeys(finding for rule in RULES for finding in rule.findings(context))
    lines = {name: line for name, (line, _) in analyzed.compiled.positions.items()}
    remaining = apply_waivers(
        findings, analyzed.compiled.source, file, lines, frozenset(rule.id for rule in RULES)
    )
    return tuple(
        sorted(
            remaining,
            key=lambda finding: (finding.line, finding.column, finding.rule, finding.message),
        )
    )
