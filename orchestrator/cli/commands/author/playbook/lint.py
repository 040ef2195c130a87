"""`tocsin playbook lint`: risky or fragile places of drafts, as text or as annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orchestrator.cli.api_client import InvalidRequest
from orchestrator.cli.command import Answer, Api, draft_command
from orchestrator.cli.commands.author.playbook.drafts import (
    DraftFile,
    Files,
    draft_set,
    read_drafts,
    request_body,
)
from orchestrator.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from orchestrator.playbook.lint.rule import LintFinding

INVALID = "invalid"
"""The rule of a finding about a playbook that does not compile."""


def register(app: typer.Typer) -> None:
    """Add the verb to `tocsin playbook`."""
    draft_command(app, "lint")(lint)


def lint(
    api: Api | None,
    files: Files,
    format_: Annotated[
        Literal["text", "github"],
        typer.Option("--format", help="github: annotations for GitHub Actions."),
    ] = "text",
) -> Answer:
    """Report risky or fragile places by file, line, column, step and rule.

    Exit code 0: no findings; 1: findings.
    Waive a finding in place with: # tocsin: allow RULE because REASON.
    """
    given = read_drafts(files)
    found = lint_drafts(api, given)
    show = _annotation if format_ == "github" else str
    lines = [show(finding) for finding in found]
    if not found and format_ == "text":
        lines = [f"{len(files)} {'playbooks' if len(files) > 1 else 'playbook'}: no findings"]
    return Answer(
        [finding.model_dump(mode="json") for finding in found],
        "".join(f"{line}\n" for line in lines),
        ExitCode.NEGATIVE if found else ExitCode.DONE,
        raw=True,
    )


def lint_drafts(api: Api | None, drafts: Sequence[DraftFile]) -> list[LintFinding]:
    """Return the findings of each draft. One that does not compile has findings that say why."""
    lint_one = _offline_lint(drafts) if api is None else partial(_lint, api, drafts)
    return [finding for position in range(len(drafts)) for finding in _findings(lint_one, position)]


def _lint(api: Api, drafts: Sequence[DraftFile], position: int) -> Iterable[LintFinding]:
    from orchestrator.playbook.lint.rule import LintFinding

    found = api.post("/v1/authoring/lint", request_body(drafts, position))["findings"]
    return [LintFinding.model_validate(each) for each in found]


def _offline_lint(drafts: Sequence[DraftFile]) -> Callable[[int], Iterable[LintFinding]]:
    """Return a lint of the draft at a position, which compiles no draft twice."""
    from orchestrator.playbook.lint.rules import lint_analyzed

    together = draft_set(drafts)
    return lambda position: lint_analyzed(
        together.analyze(position), drafts[position].file, together.catalogue
    )


def _findings(
    lint_one: Callable[[int], Iterable[LintFinding]], position: int
) -> Iterable[LintFinding]:
    from orchestrator.playbook.problems import PlaybookInvalid

    try:
        return lint_one(position)
    except PlaybookInvalid as invalid:
        return [
            _invalid(each.file, each.line, each.column, each.step, each.message, each.fix)
            for each in invalid.problems
        ]
    except InvalidRequest as invalid:
        return [
            _invalid(
                each["place"],
                each.get("line") or 1,
                each.get("column") or 1,
                each.get("step"),
                each["message"],
                each.get("fix"),
            )
            for each in invalid.places
        ]


def _invalid(
    file: str, line: int, column: int, step: str | None, message: str, fix: str | None
) -> LintFinding:
    from orchestrator.playbook.lint.rule import LintFinding

    return LintFinding(
        file=file,
        line=line,
        column=column,
        step=step,
        rule=INVALID,
        message=message,
        fix=fix or "as it is, it cannot be published",
    )


def _annotation(finding: LintFinding) -> str:
    """Return a workflow command of GitHub Actions, escaped so that a text cannot end it."""
    fields = (
        ("file", finding.file),
        ("line", finding.line),
        ("col", finding.column),
        ("title", finding.rule),
    )
    place = ",".join(f"{key}={_escape(str(value), ':,')}" for key, value in fields)
    step = f"step {finding.step}: " if finding.step else ""
    return f"::error {place}::{_escape(f'{step}{finding.message}; {finding.fix}')}"


def _escape(text: str, more: str = "") -> str:
    return "".join(
        f"%{ord(each):02X}" if each in "%\r\n" or each in more else each for each in text
    )
