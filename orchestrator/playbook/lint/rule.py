"""A lint rule, what it finds, and the frame of its examples."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import LintContext


class LintFinding(Frozen):
    """A finding of a rule in a playbook."""

    file: str
    line: int  # from 1
    column: int  # from 1
    step: str | None  # None outside of steps
    rule: str
    message: str
    fix: str

    def __str__(self) -> str:
        step = f"step {self.step}: " if self.step else ""
        return (
            f"{self.file}:{self.line}:{self.column}: {step}{self.message} [{self.rule}]; {self.fix}"
        )


@dataclass(frozen=True, slots=True)
class RuleHit:
    """What a rule finds at a path."""

    path: Path
    message: str
    fix: str
    key: bool = False  # whether the finding is about the key, not the value


@dataclass(frozen=True, slots=True)
class LintRule:
    """One rule of lint."""

    id: str
    summary: str
    why: str
    bad: str  # a playbook with this finding and no other
    good: str  # the same playbook, corrected
    check: Callable[[LintContext], Iterator[RuleHit]]

    def findings(self, context: LintContext) -> Iterator[LintFinding]:
        """Yield what the rule finds in a playbook."""
        for hit in self.check(context):
            place = context.document.at(hit.path, key=hit.key)
            yield LintFinding(
                file=context.file,
                line=place.line,
                column=place.column,
                step=context.diagnostics.step_at(hit.path),
                rule=self.id,
                message=hit.message,
                fix=hit.fix,
            )


_TRIGGER = """\
when: >-
  alert.class == 'c2_beacon' and alert.remote is not none and alert.remote.address is not none
  and alert.host is not none and alert.host.id is not none"""


def example(steps: str, *, trigger: str = _TRIGGER) -> str:
    """Return a playbook of these steps."""
    head = "playbook: example\nversion: 1\ntitle: An example\nowner: soc\ntrigger:\n"
    body = textwrap.indent(textwrap.dedent(steps).strip(), "  ")
    return f"{head}{textwrap.indent(trigger, '  ')}\nsteps:\n{body}\n"
