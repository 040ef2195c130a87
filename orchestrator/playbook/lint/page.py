"""The page docs/lint.md, rendered from the rules."""

from __future__ import annotations

from orchestrator.playbook.lint.rule import LintRule
from orchestrator.playbook.lint.rules import RULES

_HEAD = """\
# Lint

`tocsin playbook lint FILES...` reports what is unwise in playbooks that compile, by file, line,
column, step and rule. It exits with 1 if it finds anything. `--json` is for programs,
`--format github` creates annotations on a pull request. Without `--data-dir`, it checks against the
usual connections, and with it against those of that directory. `POST /v1/authoring/lint` returns
the same findings.

Allow a finding with a comment that gives a reason: on its line, on the first line of its step, or
directly above either of them.

    # tocsin: allow contain-without-for because a host that ran malware must not come back by itself
    - id: isolate

A waiver without a reason is a finding (`waiver-without-reason`), and so is a waiver that allows
nothing (`waiver-unused`). Waivers are comments and do not change the digest of a playbook.

This page is generated from the rules. A test compares them and lints every example.
"""


def render_page() -> str:
    """Return the text of the page."""
    return "\n".join((_HEAD, *map(_section, RULES)))


def _section(rule: LintRule) -> str:
    bad, good = _examples(rule)
    examples = f"Bad:\n\n```yaml lint\n{bad}```\n\nGood:\n\n```yaml lint\n{good}```\n"
    return f"## {rule.id}\n\n{rule.summary} {rule.why}\n\n{examples}"


def _examples(rule: LintRule) -> tuple[str, str]:
    """Return the part in which the examples differ: the steps or the trigger."""
    cut = "\nsteps:\n"
    halves = [text.partition(cut) for text in (rule.bad, rule.good)]
    if halves[0][0] == halves[1][0]:
        return f"steps:\n{halves[0][2]}", f"steps:\n{halves[1][2]}"
    heads = [head[head.index("trigger:") :] + "\n" for head, *_ in halves]
    return heads[0], heads[1]
