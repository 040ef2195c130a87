"""Which rules are there, and what do they find in a playbook? One line each."""

from __future__ import annotations

from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import Resolve, examine_playbook
from orchestrator.playbook.lint.classes import CLASS
from orchestrator.playbook.lint.context import Draft
from orchestrator.playbook.lint.effects import APPROVAL, LEASE, TIMEOUT
from orchestrator.playbook.lint.finding import Finding, Rule
from orchestrator.playbook.lint.flow import UNDEFINED, UNREACHABLE, UNUSED
from orchestrator.playbook.lint.secrets import SECRET
from orchestrator.playbook.lint.untrusted_text import EVERYTHING, TEXT_DECIDES
from orchestrator.playbook.lint.waivers import waived

RULES: tuple[Rule, ...] = (
    UNREACHABLE,
    UNUSED,
    UNDEFINED,
    LEASE,
    APPROVAL,
    TIMEOUT,
    TEXT_DECIDES,
    EVERYTHING,
    CLASS,
    SECRET,
)


def lint_playbook(
    text: str, file: str, catalogue: Catalogue, resolve: Resolve
) -> tuple[Finding, ...]:
    """Every finding that is not waived, in the order of the file. Raises PlaybookInvalid for a playbook that does not compile."""
    examined = examine_playbook(text, file, catalogue, resolve)
    draft = Draft(examined, file, catalogue)
    found = dict.fromkeys(finding for rule in RULES for finding in rule.findings(draft))
    lines = {name: line for name, (line, _) in examined.compiled.positions.items()}
    left = waived(found, text, file, lines, frozenset(rule.id for rule in RULES))
    return tuple(
        sorted(
            left, key=lambda finding: (finding.line, finding.column, finding.rule, finding.message)
        )
    )
