"""Questions of an author: their words, or what these will be made from, and their evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.contracts.approval import DEFAULT_QUESTION, EvidenceRow, Question, Wording
from orchestrator.engine.decide.scope import StepScope
from orchestrator.playbook.language.evaluate import ExpressionError, evaluate, evaluate_text
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.templates import template_parts
from orchestrator.playbook.language.values import json_text
from orchestrator.playbook.plan import Approve, Ask, EvidenceItem

MAX_EVIDENCE = 20_000
"""The most characters of one row of evidence, as JSON."""
_CHANGES = "changes"


def author_question(approve: Approve, scope: StepScope) -> Question:
    """Return the question of an approval. Raise ExpressionError.

    One that is made from the planned changes has no text before these are known.
    """
    template, variables = approve.question or DEFAULT_QUESTION, scope.variables()
    looked_up = set(_references(template))
    text: str | Wording
    if any(path.split(".")[0] == _CHANGES for path in looked_up):
        text = Wording(template=template, names=_only(variables, looked_up))
    else:
        text = evaluate_text(template, variables)
    return Question.from_author(approve, text, evidence_rows(approve.evidence, scope))


def form_question(step: Ask, scope: StepScope) -> Question:
    """Return the question of a form. Raise ExpressionError."""
    return Question(
        text=evaluate_text(step.question, scope.variables()),
        by=step.by,
        within=step.within,
        evidence=tuple(evidence_rows(step.evidence, scope)),
    )


def evidence_rows(evidence: tuple[EvidenceItem, ...], scope: StepScope) -> tuple[EvidenceRow, ...]:
    """Return the evidence. A row without a value says why: it must not prevent the question."""
    return tuple(EvidenceRow(label=row.label, value=_value(row, scope)) for row in evidence)


def _value(row: EvidenceItem, scope: StepScope) -> Any:
    try:
        value = evaluate(row.value, scope.variables())
        size = len(json_text(value))
    except ExpressionError as error:
        return f"not known: {error}"
    return value if size <= MAX_EVIDENCE else f"too long to show: {size} characters"


def _references(template: str) -> Iterator[str]:
    for piece in template_parts(template):
        if not isinstance(piece, str):
            yield from references(piece)


def _only(variables: Mapping[str, Any], paths: set[str]) -> dict[str, Any]:
    """Return the variables that these paths look up; of all steps, only those that they name."""
    found: dict[str, Any] = {}
    for path in paths:
        name, *keys = path.split(".")
        if name not in variables:
            continue
        if name == "steps" and keys:
            found.setdefault(name, {})
            if keys[0] in variables[name]:
                found[name] |= {keys[0]: variables[name][keys[0]]}
        else:
            found[name] = variables[name]
    return found
