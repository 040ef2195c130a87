"""The page that says which rules there are: docs/lint.md, written from the rules."""

from __future__ import annotations

from orchestrator.playbook.lint.finding import Rule
from orchestrator.playbook.lint.rules import RULES

_HEAD = """\
# Lint: a playbook that compiles, and is wise

`tocsin playbook lint FILES...` says what is unwise about playbooks, by file, line, column, step and rule, and ends with 1
if anything is. `--json` is for programs, `--format github` makes annotations on a pull request. Without `--data-dir`, the usual
connections are taken; with it, those of that directory. `POST /v1/playbooks/lint` answers the same.

A finding is allowed in place, with a reason, on its line, on the first line of its step, or right above either:

    # tocsin: allow contain-without-for because a host that ran malware must not come back by itself
    - id: isolate

A waiver without reason is a finding (`waiver-without-reason`), and so is one that allows nothing (`waiver-unused`). Waivers are
comments: they do not change the digest of a playbook.

This page is written from the rules; a test compares them, and lints every example.
"""


def page() -> str:
    """The whole page."""
    return "\n".join((_HEAD, *map(_section, RULES)))


def _section(rule: Rule) -> str:
    bad, good = _steps(rule)
    return f"## {rule.id}\n\n{rule.sentence} {rule.why}\n\nBad:\n\n```yaml lint\n{bad}```\n\nGood:\n\n```yaml lint\n{good}```\n"


def _steps(rule: Rule) -> tuple[str, str]:
    """The part in which the examples differ: the steps, or the trigger."""
    cut = "\nsteps:\n"
    halves = [text.partition(cut) for text in (rule.bad, rule.good)]
    if halves[0][0] == halves[1][0]:
        return f"steps:\n{halves[0][2]}", f"steps:\n{halves[1][2]}"
    heads = [head[head.index("trigger:") :] + "\n" for head, *_ in halves]
    return heads[0], heads[1]
