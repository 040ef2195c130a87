"""Lint rules about questions: what is planned, no text of an attacker, declared secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.domain.masking import is_secret_name
from orchestrator.playbook import plan
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.templates import is_template, template_parts
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import LintContext
from orchestrator.playbook.lint.rule import LintRule, RuleHit, example
from orchestrator.playbook.lint.untrusted_text import ATTACKER_FIELDS


def _named_by_hand(context: LintContext) -> Iterator[RuleHit]:
    for site in context.sites:
        approve = site.step.approve
        if approve is None or approve.question is None or not context.cases(site.path):
            continue
        changes = [
            step
            for _, step in plan.walk_steps(site.step.children())
            if isinstance(step, plan.Use) and step.effect.changes and step.approve is None
        ]
        asked = set(_paths(approve.question))
        if len(changes) < 2 or any(path.split(".")[0] == "changes" for path in asked):
            continue
        targets = {path for step in changes for path in _paths(step.inputs)}
        named = sorted(path for path in asked if _names_target(path, targets))
        if named:
            yield RuleHit(
                (*site.path, "approve", "question"),
                f"the question names {named[0]} by hand, but a change that the system does not need"
                " or know is not made",
                "write `${{ changes }}?`, or remove `question`",
            )


def _quotes_alert(context: LintContext) -> Iterator[RuleHit]:
    for site in context.sites:
        asked = site.step.approve.question if site.step.approve else None
        path: Path = (*site.path, "approve", "question")
        if isinstance(site.step, plan.Ask):
            asked, path = site.step.question, (*site.path, "ask", "question")
        fields = {f"alert.{field}" for field in ATTACKER_FIELDS}
        if found := sorted(fields.intersection(_paths(asked)) if asked else ()):
            yield RuleHit(
                path,
                f"the question quotes {found[0]}, which an attacker can write",
                "move it to `evidence`, which people see as quoted text",
            )


def _names_target(path: str, targets: set[str]) -> bool:
    """Return whether a path is that of a target, or of another field of the same object."""
    above, _, _ = path.rpartition(".")
    return path in targets or (
        "." in above and any(target.rpartition(".")[0] == above for target in targets)
    )


def _paths(value: Any) -> Iterator[str]:
    """Yield the paths that the expressions in a value look up."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _paths(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, str) and is_template(value):
        for piece in template_parts(value):
            if not isinstance(piece, str):
                yield from references(piece)


def _plain_secret(context: LintContext) -> Iterator[RuleHit]:
    for site in context.sites:
        for name, field in site.step.form.items() if isinstance(site.step, plan.Ask) else ():
            if field.type == "text" and is_secret_name(name):
                yield RuleHit(
                    (*site.path, "ask", "form", name, "type"),
                    f"field {name!r} is named like a secret, and is shown while it is typed",
                    "write `type: secret`, or give it another name",
                )


ANSWER = LintRule(
    id="secret-field",
    summary="A text field of a form that is named like a secret.",
    why=(
        "Its answer is encrypted and masked as a secret, so that no step can read it. With "
        "`type: secret`, pages and the command line also hide it while it is typed."
    ),
    bad=example("""
        - id: unlock
          ask:
            question: How is the safe opened?
            form: {password: {type: text, label: Password}}
        """),
    good=example("""
        - id: unlock
          ask:
            question: How is the safe opened?
            form: {password: {type: secret, label: Password}}
        """),
    check=_plain_secret,
)

QUESTION = LintRule(
    id="question-names-targets",
    summary="A question about several changes that names their targets by hand.",
    why=(
        "A step whose `when` is false, or whose target is in the desired state already, changes "
        "nothing. A question written by hand still asks about it, and people approve what is "
        "not done."
    ),
    bad=example("""
        - id: contain
          approve: {question: "Isolate ${{ alert.host.id }} and block ${{ alert.remote.address }}?"}
          parallel:
            - id: isolate
              use: edr.isolate_host
              with: {host: "${{ alert.host.id }}"}
              for: 8h
              timeout: 10m
            - id: block
              use: firewall.block_address
              with: {address: "${{ alert.remote.address }}"}
              for: 8h
        """),
    good=example("""
        - id: contain
          approve: {question: "${{ changes }}?"}
          parallel:
            - id: isolate
              use: edr.isolate_host
              with: {host: "${{ alert.host.id }}"}
              for: 8h
              timeout: 10m
            - id: block
              use: firewall.block_address
              with: {address: "${{ alert.remote.address }}"}
              for: 8h
        """),
    check=_named_by_hand,
)
_BLOCK = """
- id: block
  approve: {{question: "${{{{ changes }}}}?{more}"{evidence}}}
  use: firewall.block_address
  with: {{address: "${{{{ alert.remote.address }}}}"}}
  for: 8h
"""
QUOTED_TEXT = LintRule(
    id="alert-text-in-question",
    summary="A question that quotes text which an attacker can write.",
    why=(
        "A title or a file name may contain a sentence that tells people to approve. As evidence "
        "it is shown in quotation marks, under its own label."
    ),
    bad=example(_BLOCK.format(more=" ${{ alert.title }}", evidence="")),
    good=example(_BLOCK.format(more="", evidence=', evidence: {Title: "${{ alert.title }}"}')),
    check=_quotes_alert,
)
